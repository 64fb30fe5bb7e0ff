"""The geometry of weight vectors again, in loops that can be read off."""

import math

from torch import Tensor


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def length(a: list[float]) -> float:
    return math.sqrt(dot(a, a))


def cosine(a: list[float], b: list[float]) -> float:
    return dot(a, b) / (length(a) * length(b))


def distances(W: Tensor) -> list[list[float]]:
    """Return 1 - cosine for all pairs of rows."""
    rows = W.tolist()
    return [[1 - cosine(a, b) for b in rows] for a in rows]


def components(weights: list[list[float]], cut_off: float) -> list[set[int]]:
    """Join all pairs whose edge weighs `cut_off` or more, one after the other."""
    sets = [{unit} for unit in range(len(weights))]
    for i in range(len(weights)):
        for j in range(i):
            if weights[i][j] >= cut_off:
                mine = next(each for each in sets if i in each)
                theirs = next(each for each in sets if j in each)
                if mine is not theirs:
                    sets.remove(theirs)
                    mine |= theirs
    return sets
