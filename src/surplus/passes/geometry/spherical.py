"""Clusters of directions: k-means on the sphere, many restarts at once."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

NUM_ROUNDS = 100


def spherical_centres(
    rows: Float[Tensor, "units fan_in"],
    k: int,
    num_restarts: int,
    generator: torch.Generator,
    weights: Float[Tensor, " units"] | None = None,
) -> Float[Tensor, "k fan_in"]:
    """Return k centres of unit length that maximise the (weighted) sum of the rows' cosines with their nearest one.

    Rows and centres take turns: each row goes to its nearest centre, each centre becomes the direction of the sum of
    its rows. The best of all restarts is returned. They begin as k-means++ does, but with noise that is a function of
    the row (its projection on a random direction), so that another order of the rows gives the same centres.

    Args:
        rows: Vectors of unit length, k or more.
        k: The number of centres.
        num_restarts: How many beginnings are tried; all run side by side.
        generator: Of the beginnings.
        weights: How much each row counts; None counts all alike.

    Reference: dhillon2001concept, Section 3.1; arthur2007kmeans, Section 2.2, for the beginnings.
    """
    size, fan_in = rows.shape
    weight = torch.ones(size, dtype=rows.dtype) if weights is None else weights
    centres = _beginnings(rows, weight, k, num_restarts, generator)
    before = -torch.inf * torch.ones(num_restarts, dtype=rows.dtype)
    for _ in range(NUM_ROUNDS):
        cosines = (rows @ centres.flatten(0, 1).T).view(size, num_restarts, k)
        best, chosen = cosines.max(2)
        scores = weight @ best
        if bool((scores <= before + 1e-12 * weight.sum()).all()):
            break
        before = scores
        members = torch.zeros(num_restarts, k, size, dtype=rows.dtype)
        members.scatter_(1, chosen.T[:, None], weight.expand(num_restarts, 1, size))
        sums = members.flatten(0, 1) @ rows
        lengths = sums.norm(dim=1, keepdim=True)
        # A centre that lost all its rows, or whose rows cancel, stays where it was.
        moved = torch.where(
            lengths > 1e-12, sums / lengths.clamp_min(1e-300), centres.flatten(0, 1)
        )
        centres = moved.view(num_restarts, k, fan_in)
    return centres[int(before.argmax())]


def degrees_to(
    rows: Float[Tensor, "units fan_in"], centres: Float[Tensor, "k fan_in"]
) -> Float[Tensor, " units"]:
    """Return the angle of each row of unit length to its nearest centre, in degrees.

    Example:
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
        >>> degrees_to(rows, rows[:1]).tolist()
        [0.0, 90.0]
    """
    nearest = centres[(rows @ centres.T).argmax(1)]
    # From both the difference and the sum: a cosine alone loses the small angles.
    apart, along = (rows - nearest).norm(dim=1), (rows + nearest).norm(dim=1)
    return 2 * torch.atan2(apart, along).rad2deg()


def _beginnings(
    rows: Float[Tensor, "units fan_in"],
    weights: Float[Tensor, " units"],
    k: int,
    num_restarts: int,
    generator: torch.Generator,
) -> Float[Tensor, "restarts k fan_in"]:
    directions = torch.randn(rows.shape[1], num_restarts * k, generator=generator, dtype=rows.dtype)
    uniform = (0.5 + 0.5 * torch.erf(rows @ directions / math.sqrt(2))).clamp(1e-12, 1 - 1e-12)
    noise = -(-uniform.log()).log().view(len(rows), num_restarts, k)
    farness = torch.ones(len(rows), num_restarts, dtype=rows.dtype)
    centres = []
    for place in range(k):
        # The largest of log p + Gumbel noise is a draw with probability p.
        keys = (weights[:, None] * farness).clamp_min(1e-300).log() + noise[:, :, place]
        centre = rows[keys.argmax(0)]
        centres.append(centre)
        # Half the squared distance; what is left of an equal row is rounding.
        apart = 1 - rows @ centre.T
        apart = torch.where(apart < 1e-12, 0.0, apart)
        farness = apart if place == 0 else torch.minimum(farness, apart)
    return torch.stack(centres, dim=1)
