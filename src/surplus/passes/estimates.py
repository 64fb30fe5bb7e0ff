"""Estimates with their 95 % intervals: means of draws, shares, differences."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

NORMAL = 1.959963984540054
# 97.5 % points of Student's distribution with 1, 2 ... 10 degrees of freedom.
QUANTILES = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)


class Estimate(NamedTuple):
    """A number that was estimated from a sample, with its 95 % interval."""

    value: float
    lower: float | None
    """None where a single draw tells nothing of the spread, as is `upper`."""
    upper: float | None
    n: int
    """How many draws or examples it rests on."""


def mean_estimate(
    draws: Sequence[float] | Float[Tensor, " draws"], value: float | None = None
) -> Estimate:
    """Return the mean of independent draws with Student's interval.

    Args:
        draws: The draws.
        value: What to put in the middle of the interval instead of their mean.

    Example:
        >>> mean, lower, upper, n = mean_estimate([1.0, 2.0, 3.0, 4.0, 5.0])
        >>> round(mean, 3), round(lower, 2), round(upper, 2), n
        (3.0, 1.04, 4.96, 5)
    """
    values = torch.as_tensor(draws, dtype=torch.float64)
    n = len(values)
    middle = float(values.mean()) if value is None else value
    if n < 2:
        return Estimate(middle, None, None, n)
    half = quantile_of_student(n - 1) * float(values.std()) / math.sqrt(n)
    return Estimate(middle, middle - half, middle + half, n)


def share_estimate(num: int, n: int) -> Estimate:
    """Return the share num / n with Wilson's interval, which stays inside [0, 1] and is not empty at its ends.

    Reference: wilson1927probable, the interval of its last section.

    Example:
        >>> [round(each, 3) for each in share_estimate(8, 10)]
        [0.8, 0.49, 0.943, 10]
    """
    share, z = num / n, NORMAL
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    apart = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # At the ends the interval begins at the share itself, but for rounding.
    return Estimate(
        share, max(0.0, min(middle - apart, share)), min(1.0, max(middle + apart, share)), n
    )


def difference(some: Estimate, other: Estimate) -> Estimate:
    """Return some - other of two independent estimates with intervals: the squares of their half intervals add up.

    Reference: newcombe1998interval, Method 10.
    """
    value = some.value - other.value
    assert some.lower is not None and some.upper is not None
    assert other.lower is not None and other.upper is not None
    below = math.hypot(some.value - some.lower, other.upper - other.value)
    above = math.hypot(some.upper - some.value, other.value - other.lower)
    return Estimate(value, value - below, value + above, min(some.n, other.n))


def quantile_of_student(freedom: int) -> float:
    """Return the 97.5 % point of Student's distribution, to four digits.

    Example:
        >>> [round(quantile_of_student(freedom), 3) for freedom in (1, 10, 30, 10**9)]
        [12.706, 2.228, 2.042, 1.96]
    """
    if freedom <= len(QUANTILES):
        return QUANTILES[freedom - 1]
    z = NORMAL
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
