"""Subspaces: what leading singular vectors span, the angles between two, what lies outside."""

import torch
from jaxtyping import Float
from torch import Tensor


def leading_subspace(W: Float[Tensor, "units fan_in"], rank: int) -> Float[Tensor, "fan_in _"]:
    """Return an orthonormal basis of the leading right singular vectors: of `rank`, or fewer where W has less rank.

    From the smaller Gram matrix, whose eigenvalues are the squares of the singular values: what is less than about a
    millionth of the largest singular value counts as zero.

    Example:
        >>> leading_subspace(torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), 2).abs().tolist()
        [[1.0], [0.0], [0.0]]
    """
    rows = W.double()
    wide = rows.shape[0] <= rows.shape[1]
    values, vectors = torch.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    negligible = float(values[-1:].sum()) * max(rows.shape) * torch.finfo(rows.dtype).eps
    vectors = vectors[:, values > negligible][:, -rank:].flip(1)
    return torch.linalg.qr(rows.T @ vectors if wide else vectors).Q


def principal_degrees(
    some: Float[Tensor, "fan_in _"], other: Float[Tensor, "fan_in _"]
) -> Float[Tensor, " angles"]:
    """Return the principal angles between two subspaces, in degrees and ascending.

    There are as many as the smaller one has dimensions. Cosines lose the digits of small angles and sines those of
    large ones, so each is taken from the better one.

    Args:
        some: An orthonormal basis.
        other: Another.

    Reference: bjorck1973numerical, Section 3.

    Example:
        >>> axes = torch.eye(3, dtype=torch.float64)
        >>> principal_degrees(axes[:, :2], axes[:, 1:]).tolist()
        [0.0, 90.0]
    """
    if some.shape[1] < other.shape[1]:
        some, other = other, some
    overlaps = some.T @ other
    cosines = torch.linalg.svdvals(overlaps).clamp(0, 1)
    sines = torch.linalg.svdvals(other - some @ overlaps).clamp(0, 1)[: len(cosines)].flip(0)
    angles = torch.where(cosines**2 < 0.5, cosines.acos(), sines.asin())
    return angles.rad2deg().sort().values


def random_degrees(
    fan_in: int, rank: int, num_draws: int, generator: torch.Generator
) -> Float[Tensor, "draws rank"]:
    """Return the principal angles between two random subspaces, ascending, for a number of draws.

    One of the two may be held fixed, at the first axes.
    """
    drawn = []
    fixed = torch.eye(fan_in, rank, dtype=torch.float64)
    for _ in range(num_draws):
        normal = torch.randn(fan_in, rank, generator=generator, dtype=torch.float64)
        drawn.append(principal_degrees(torch.linalg.qr(normal).Q, fixed))
    return torch.stack(drawn)


def relative_residuals(
    W: Float[Tensor, "units fan_in"], basis: Float[Tensor, "fan_in _"]
) -> Float[Tensor, " units"]:
    """Return for each row what share of its length lies outside a subspace: 0 inside, 1 orthogonal to it.

    Args:
        W: Rows other than zero.
        basis: An orthonormal basis.

    Example:
        >>> rows = torch.tensor([[3.0, 4.0], [2.0, 0.0]], dtype=torch.float64)
        >>> relative_residuals(rows, torch.tensor([[1.0], [0.0]], dtype=torch.float64)).tolist()
        [0.8, 0.0]
    """
    return (W - (W @ basis) @ basis.T).norm(dim=1) / W.norm(dim=1)
