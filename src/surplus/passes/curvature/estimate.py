"""Estimates: a mean over random draws with its interval."""

import math
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

# 97.5 % points of Student's distribution with 1, 2 ... 10 degrees of freedom.
QUANTILES = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)


class Estimate(NamedTuple):
    """A number that rests on random draws, with its 95 % interval over further draws."""

    value: float
    lower: float | None
    """None after a single draw, as is `upper`."""
    upper: float | None
    num_draws: int


def estimate(draws: Float[Tensor, " draws"], value: float | None = None) -> Estimate:
    """Return the mean of independent draws with Student's 95 % interval.

    Args:
        draws: The draws.
        value: What to put in the middle of the interval instead of their mean.

    Example:
        >>> import torch
        >>> value, lower, upper, _ = estimate(torch.tensor([1.0, 2.0, 3.0]))
        >>> value, round(lower, 3), round(upper, 3)
        (2.0, -0.484, 4.484)
    """
    count = len(draws)
    middle = float(draws.double().mean()) if value is None else value
    if count < 2:
        return Estimate(middle, None, None, count)
    half = quantile(count - 1) * float(draws.double().std()) / math.sqrt(count)
    return Estimate(middle, middle - half, middle + half, count)


def quantile(freedom: int) -> float:
    """Return the 97.5 % point of Student's distribution, to four digits.

    Example:
        >>> round(quantile(10), 3), round(quantile(30), 3), round(quantile(10**9), 3)
        (2.228, 2.042, 1.96)
    """
    if freedom <= len(QUANTILES):
        return QUANTILES[freedom - 1]
    z = 1.959964
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
