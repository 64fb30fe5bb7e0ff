"""Cosines of all pairs of unit vectors, without holding all of them at once."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

BLOCK = 1024  # rows at a time


class PairCosines(NamedTuple):
    """What the cosines of all pairs of different rows are like."""

    num_pairs: int
    mean: float
    mean_absolute: float
    root_mean_square: float
    least: float
    greatest: float


def pair_cosines(rows: Float[Tensor, "units fan_in"]) -> PairCosines:
    """Return mean, mean absolute, root mean square, least and greatest cosine over pairs of different rows.

    Args:
        rows: Two or more vectors of unit length.

    Example:
        >>> pair_cosines(torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64))[1:4]
        (-1.0, 1.0, 1.0)
    """
    total = absolute = squares = 0.0
    least, greatest = 1.0, -1.0
    for begin, block in _blocks(rows):
        own = _own(block, begin)
        block[own] = 0
        total += float(block.sum())
        absolute += float(block.abs().sum())
        squares += float(block.square().sum())
        block[own] = 1
        least = min(least, float(block.min()))
        block[own] = -1
        greatest = max(greatest, float(block.max()))
    num = len(rows) * (len(rows) - 1)
    return PairCosines(
        num // 2, total / num, absolute / num, (squares / num) ** 0.5, least, greatest
    )


def nearest(
    rows: Float[Tensor, "units fan_in"], signed: bool = True
) -> tuple[Float[Tensor, " units"], Int[Tensor, " units"]]:
    """Return for each row the largest cosine with any other one, and which row that is.

    Args:
        rows: Two or more vectors of unit length.
        signed: Whether opposite rows are far apart; if not, absolute cosines are compared.

    Example:
        >>> rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
        >>> nearest(rows)[1].tolist(), nearest(rows, signed=False)[1].tolist()
        ([2, 2, 0], [1, 0, 0])
    """
    values, places = [], []
    for begin, block in _blocks(rows):
        compared = block if signed else block.abs()
        compared[_own(block, begin)] = -2
        found = compared.max(1)
        values.append(found.values)
        places.append(found.indices)
    return torch.cat(values), torch.cat(places)


def mean_cosine_distance(rows: Float[Tensor, "units fan_in"]) -> float:
    """Return the mean of 1 - cosine over pairs of different rows of unit length, from the sum of the rows alone."""
    size = len(rows)
    overlap = float(rows.sum(0).square().sum()) - float(rows.square().sum())
    distance = 1 - overlap / (size * (size - 1))
    return distance if distance > 1e-12 else 0.0  # what is left of equal rows is rounding


def signed_frame_potential(rows: Float[Tensor, "units fan_in"]) -> float:
    """Return the sum over all pairs of rows of unit length of max(cosine, 0)^2, each with itself included.

    The frame potential counts opposite directions as equal, which rectified units do not.

    Example:
        >>> signed_frame_potential(torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64))
        2.0
    """
    return sum(float(block.clamp_min(0).square().sum()) for _, block in _blocks(rows))


def _blocks(rows: Float[Tensor, "units fan_in"]) -> Iterator[tuple[int, Tensor]]:
    for begin in range(0, len(rows), BLOCK):
        yield begin, (rows[begin : begin + BLOCK] @ rows.T).clamp(-1, 1)


def _own(block: Float[Tensor, "some units"], begin: int) -> tuple[Tensor, Tensor]:
    """Return the places in a block where a row meets itself."""
    places = torch.arange(len(block))
    return places, places + begin
