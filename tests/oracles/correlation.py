"""Correlation by its definition."""

import math


def pearson(first: list[float], second: list[float]) -> float:
    """Return Pearson's correlation of two lists."""
    means = sum(first) / len(first), sum(second) / len(second)
    apart = [a - means[0] for a in first], [b - means[1] for b in second]
    products = [sum(a * b for a, b in zip(x, y, strict=True)) for x in apart for y in apart]
    return products[1] / math.sqrt(products[0] * products[3])
