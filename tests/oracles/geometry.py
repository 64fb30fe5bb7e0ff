"""The geometry of weight vectors again, in loops that can be read off."""

import math
from itertools import product

import torch
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


def angle(a: list[float], b: list[float]) -> float:
    """Return the angle of two vectors in degrees."""
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine(a, b)))))


def best_clusters(W: Tensor, k: int, weights: list[float]) -> list[int]:
    """Return, of all ways to share rows out among k clusters, the one whose sums of unit vectors are longest."""
    rows = [[x / length(row) for x in row] for row in W.tolist()]

    def total(labels: tuple[int, ...]) -> float:
        found = 0.0
        for label in range(k):
            own = [unit for unit in range(len(rows)) if labels[unit] == label]
            # The direction of a sum is the best centre, and its length the sum of the cosines with it.
            found += length([sum(weights[i] * rows[i][x] for i in own) for x in range(W.shape[1])])
        return found

    return list(max(product(range(k), repeat=len(rows)), key=total))


def principal_angles(some: Tensor, other: Tensor) -> list[float]:
    """Return the angles, in degrees, of the closest two vectors, of the closest two orthogonal to those, and so on."""
    found = []
    for _ in range(min(some.shape[1], other.shape[1])):
        x = some[:, 0] + some.sum(1)
        for _ in range(20_000):
            # Back and forth between the subspaces: this goes to the pair that is closest.
            y = other @ (other.T @ x)
            x = some @ (some.T @ (y / y.norm()))
            x = x / x.norm()
        y = other @ (other.T @ x)
        y = y / y.norm()
        found.append(angle(x.tolist(), y.tolist()))
        some, other = _without(some, x), _without(other, y)
    return found


def _without(basis: Tensor, vector: Tensor) -> Tensor:
    """Return a basis of what is orthogonal to a vector in a subspace."""
    columns: list[Tensor] = [vector]
    for each in basis.T:
        rest = each.clone()
        for column in columns * 2:
            rest = rest - (rest @ column) * column
        if float(rest.norm()) > 1e-8 and len(columns) < basis.shape[1]:
            columns.append(rest / rest.norm())
    return torch.stack(columns[1:], dim=1) if len(columns) > 1 else basis[:, :0]


def spectral(W: Tensor) -> float:
    """Return the largest singular value, by going back and forth until nothing changes."""
    x = [1.0 + unit for unit in range(W.shape[1])]
    for _ in range(10_000):
        y = [dot(row, x) for row in W.tolist()]
        x = [dot(column, y) for column in W.T.tolist()]
        x = [value / length(x) for value in x]
    return length([dot(row, x) for row in W.tolist()])


def paths(layers: list[tuple[Tensor, Tensor | None]], power: int) -> float:
    """Return the sum over all paths through layers of (matrix, bias), walked one by one from their ends.

    A path ends at an output and begins at an input or where a bias comes in.
    """

    def leading_to(layer: int, unit: int) -> float:
        """Add up the paths that lead to a unit of a layer; to an input leads the empty one."""
        if layer < 0:
            return 1.0
        matrix, bias = layers[layer]
        total = 0.0 if bias is None else abs(float(bias[unit])) ** power
        for before, weight in enumerate(matrix[unit].tolist()):
            if weight:
                total += abs(weight) ** power * leading_to(layer - 1, before)
        return total

    return sum(leading_to(len(layers) - 1, unit) for unit in range(len(layers[-1][0])))
