"""Estimates with their 95 % intervals: means of draws, shares, differences."""

import math
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

NORMAL = 1.959963984540054


class Estimate(NamedTuple):
    """A number that was estimated from a sample, with its 95 % interval."""

    value: float
    lower: float
    upper: float
    n: int
    """How many draws or examples it rests on."""


def mean_estimate(values: Float[Tensor, " draws"]) -> Estimate:
    """Return the mean of two or more independent values with Student's interval.

    Example:
        >>> import torch
        >>> mean, lower, upper, n = mean_estimate(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
        >>> round(mean, 3), round(lower, 2), round(upper, 2), n
        (3.0, 1.04, 4.96, 5)
    """
    n = len(values)
    mean = float(values.double().mean())
    apart = quantile_of_student(n - 1) * float(values.double().std()) / math.sqrt(n)
    return Estimate(mean, mean - apart, mean + apart, n)


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
    """Return some - other of two independent estimates: the squares of their half intervals add up.

    Reference: newcombe1998interval, Method 10.
    """
    value = some.value - other.value
    below = math.hypot(some.value - some.lower, other.upper - other.value)
    above = math.hypot(some.upper - some.value, other.value - other.lower)
    return Estimate(value, value - below, value + above, min(some.n, other.n))


def quantile_of_student(degrees: int) -> float:
    """Return the 97.5 % quantile of Student's t with `degrees` of freedom.

    Example:
        >>> [round(quantile_of_student(degrees), 2) for degrees in (1, 2, 4, 19)]
        [12.71, 4.3, 2.78, 2.09]
    """
    if degrees == 1:
        return math.tan(math.pi * 0.475)
    if degrees == 2:
        return 0.95 * math.sqrt(2 / (4 * 0.975 * 0.025))
    z, v = NORMAL, degrees
    # Fisher's expansion in 1 / degrees: three digits from three degrees on.
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / v**power for power, term in enumerate(terms))
