"""Intervals of means: what a few repeats say of what many would give."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch


class Interval(NamedTuple):
    """A mean and its 95 % interval; None where a single value tells nothing of the spread."""

    mean: float
    lower: float | None
    upper: float | None
    n: int


def interval(values: Sequence[float]) -> Interval:
    """Return the mean of independent values with its 95 % interval by Student's t.

    Example:
        >>> found = interval([1.0, 2.0, 3.0])
        >>> found.mean, round(found.lower, 3), round(found.upper, 3)
        (2.0, -0.484, 4.484)
    """
    n = len(values)
    mean = sum(values) / n
    if n == 1:
        return Interval(mean, None, None, 1)
    variance = sum((value - mean) ** 2 for value in values) / (n - 1)
    half = students_t(n - 1) * math.sqrt(variance / n)
    return Interval(mean, mean - half, mean + half, n)


@lru_cache
def students_t(freedom: int) -> float:
    """Return how many standard errors around a mean hold 95 % of Student's t.

    With t = sqrt(freedom) tan(angle), the density of the angle is proportional to cos(angle)^(freedom - 1).

    Example:
        >>> [round(students_t(freedom), 3) for freedom in (1, 2, 4, 1000)]
        [12.706, 4.303, 2.776, 1.962]
    """
    angles = torch.linspace(0, math.pi / 2, 200_001, dtype=torch.float64)
    mass = torch.cumulative_trapezoid(angles.cos() ** (freedom - 1), angles)
    place = int(torch.searchsorted(mass, 0.95 * mass[-1]))
    return math.sqrt(freedom) * math.tan(float(angles[place + 1]))
