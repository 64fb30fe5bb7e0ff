"""Matching: which unit of one layer is which unit of another."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from surplus.base import InvalidArgument


def best_matching(cosines: Float[Tensor, "units units"]) -> Int[Tensor, " units"]:
    """Return for each row the column that it is matched with, one to one, so that the sum of the entries is greatest.

    Reference: kuhn1955hungarian; solved by SciPy.

    Raises:
        InvalidArgument: SciPy is not installed.

    Example:
        >>> best_matching(torch.tensor([[0.9, 0.8], [0.7, 0.1]])).tolist()
        [1, 0]
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except (ImportError, RuntimeError) as missing:
        raise InvalidArgument(
            f"Matching units needs SciPy ({missing}): pip install 'surplus[analysis]'."
        ) from missing
    return torch.from_numpy(linear_sum_assignment(cosines.numpy(), maximize=True)[1])
