"""Frame potential and its relatives, from one Gram matrix."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def directions(W: Float[Tensor, "units fan_in"]) -> Float[Tensor, "units fan_in"]:
    """Return the rows at unit length, in float64; rows of zeros stay zero and so drop out of every sum."""
    rows = W.double()
    norms = rows.norm(dim=1, keepdim=True)
    return rows / torch.where(norms > 0, norms, 1.0)


def squared_overlaps(W: Float[Tensor, "units fan_in"]) -> Float[Tensor, "units units"]:
    """Return <w_i, w_j>^2 for all pairs of rows, in float64."""
    rows = W.double()
    return (rows @ rows.T).square()


def frame_potential(
    W: Float[Tensor, "units fan_in"], kept: Bool[Tensor, " units"] | None = None
) -> float:
    r"""Return the frame potential ||W^ W^^T||_F^2 of the rows at unit length.

    For m units of fan-in n it lies between max(m, m^2 / n), reached by orthonormal rows (m <= n) and by tight frames
    (m >= n), and m^2, reached when all rows are collinear.

    Args:
        W: The weight vectors.
        kept: The units that count; None takes all.

    Reference: benedetto2003finite, Section 4.

    Example:
        >>> round(frame_potential(torch.eye(4)), 6), round(frame_potential(torch.ones(4, 7)), 6)
        (4.0, 16.0)
    """
    rows = directions(W if kept is None else W[kept])
    # The smaller of the two Gram matrices has the same norm.
    gram = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
    return float(gram.square().sum())


def frame_potential_bounds(num_units: int, fan_in: int) -> tuple[float, float]:
    """Return the least and the greatest frame potential of `num_units` unit vectors in `fan_in` dimensions.

    Reference: benedetto2003finite, Theorem 6.2 (the lower one is Welch's bound).

    Example:
        >>> frame_potential_bounds(300, 784), frame_potential_bounds(300, 100)
        ((300.0, 90000.0), (900.0, 90000.0))
    """
    return max(float(num_units), num_units**2 / fan_in), float(num_units**2)


def frame_potential_along(
    W: Float[Tensor, "units fan_in"], order: Int[Tensor, " removals"]
) -> Float[Tensor, " removals_plus_one"]:
    """Return the frame potential after each removal of an order; units outside the order stay to the end.

    One Gram matrix for the whole order: adding a unit back adds its squared overlaps with those that are there.

    Example:
        >>> frame_potential_along(torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]), torch.tensor([2, 0, 1])).tolist()
        [5.0, 4.0, 1.0, 0.0]
    """
    outside = torch.ones(len(W), dtype=torch.bool)
    outside[order] = False
    overlaps = squared_overlaps(directions(W))
    base = overlaps[outside][:, outside].sum()
    adding = order.flip(0)
    within = overlaps[adding][:, adding]
    # Each added unit brings its overlap with itself once, and with every unit that is there twice.
    gains = within.diagonal() + 2 * within.tril(-1).sum(1)
    gains = gains + 2 * overlaps[adding][:, outside].sum(1)
    return torch.cat([gains.new_zeros(1), gains.cumsum(0)]).add(base).flip(0)
