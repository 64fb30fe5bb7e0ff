"""Intervals of means over replicas."""

import math
import statistics
from collections.abc import Sequence

# Student's t at 97.5 %, by degrees of freedom from 1 on; beyond, the normal distribution's.
FIRST = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
SECOND = (2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086)
THIRD = (2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)
QUANTILES = (*FIRST, *SECOND, *THIRD)
NORMAL = 1.960


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean by Student's t; None for a single value, which has none.

    Example:
        >>> low, high = interval([1.0, 2.0, 3.0])
        >>> round(low, 3), round(high, 3)
        (-0.484, 4.484)
    """
    count = len(values)
    if count < 2:
        return None
    quantile = QUANTILES[count - 2] if count - 2 < len(QUANTILES) else NORMAL
    middle = statistics.fmean(values)
    margin = quantile * statistics.stdev(values) / math.sqrt(count)
    return middle - margin, middle + margin
