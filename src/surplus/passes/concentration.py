"""How unequally a sum is spread over its parts, and whether two lists put things in the same order."""

import torch
from jaxtyping import Float
from torch import Tensor


def gini(amounts: Float[Tensor, " parts"]) -> float | None:
    """Return the Gini coefficient of amounts that are not negative: 0 where all are equal, 1 - 1/n where one has all.

    Returns:
        None where the amounts sum to 0.

    Example:
        >>> gini(torch.tensor([1.0, 1.0])), gini(torch.tensor([0.0, 0.0, 0.0, 5.0]))
        (0.0, 0.75)
    """
    ordered = amounts.double().sort().values
    total, size = float(ordered.sum()), len(ordered)
    places = torch.arange(1, size + 1, dtype=torch.float64)
    return float(((2 * places - size - 1) * ordered).sum()) / (size * total) if total else None


def rank_correlation(a: Float[Tensor, " values"], b: Float[Tensor, " values"]) -> float | None:
    """Return Spearman's rank correlation, with mean ranks where values are equal; None if one side is constant.

    Example:
        >>> rank_correlation(torch.tensor([1.0, 2.0, 9.0]), torch.tensor([0.1, 0.2, 0.3]))
        1.0
    """
    first, second = _ranks(a), _ranks(b)
    size = float((first.square().sum() * second.square().sum()).sqrt())
    return None if size == 0 else float((first * second).sum()) / size


def _ranks(values: Float[Tensor, " values"]) -> Float[Tensor, " values"]:
    """Return the ranks, centred; equal values share the mean of theirs."""
    _, place, counts = torch.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts.double() - 1) / 2)[place] - (len(values) + 1) / 2
