"""Linear dependence: how much of each column all others explain."""

import torch
from jaxtyping import Float
from torch import Tensor

FLOOR = 1e-13
"""Eigenvalues of a correlation matrix below it are taken for rounding."""


def unexplained(correlation: Float[Tensor, "units units"]) -> Float[Tensor, " units"]:
    r"""Return the share of each column's variance that the others and a constant leave unexplained.

    It is min w^T R w with w_j = 1, which is 1 / (R^-1)_jj where R is regular and 0 where unit vector j leans into its
    null space: from R = sum_k l_k u_k u_k^T, 1 / sum_k u_kj^2 / l_k with the null eigenvalues held at a floor.

    Args:
        correlation: Of columns that do change.

    Example:
        >>> [round(each, 6) for each in unexplained(torch.tensor([[1.0, 0.6], [0.6, 1.0]])).tolist()]
        [0.64, 0.64]
    """
    values, vectors = torch.linalg.eigh(correlation)
    floor = FLOOR * float(values[-1])
    shares = 1 / (vectors.square() / values.clamp_min(floor)).sum(1)
    return torch.where(shares < len(values) * 10 * floor, 0.0, shares).clamp_max(1.0)


def num_directions(spectrum: Float[Tensor, " values"], tolerance: float) -> int:
    """Return how many eigenvalues are above a share of the largest one.

    Example:
        >>> num_directions(torch.tensor([1e-12, 0.1, 1.0]), 1e-10)
        2
    """
    if not len(spectrum):
        return 0
    largest = float(spectrum.max())
    return int((spectrum > tolerance * largest).sum()) if largest > 0 else 0
