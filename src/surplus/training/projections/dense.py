"""The dense projection: a Gaussian matrix."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import derive, register
from surplus.training.projection import LinearMap, Projection

CHUNK = 1 << 20  # numbers that are drawn at once
HELD = 1 << 24  # numbers of a matrix that is small enough to be held


@register("dense")
@dataclass(frozen=True, kw_only=True, slots=True)
class Dense(Projection):
    """Gaussian numbers, each column scaled to length 1.

    Reference: li2018intrinsic, the dense projection.
    A large matrix is not held: its rows are drawn anew in chunks at every product, each chunk from a stream of its own,
    so that it takes the time of all its numbers and the memory of one chunk.
    """

    references: ClassVar = ("li2018intrinsic",)

    def build(
        self, num_parameters: int, dimension: int, seed: int, device: torch.device
    ) -> LinearMap:
        """Return the map that a seed stands for."""
        return _Gaussian(num_parameters, dimension, seed, device)


@final
class _Gaussian:
    def __init__(
        self, num_parameters: int, dimension: int, seed: int, device: torch.device
    ) -> None:
        self._shape = num_parameters, dimension
        self._seed = seed
        self._device = device
        self._held: list[Tensor] | None = None
        squares = torch.zeros(dimension, dtype=torch.float64, device=device)
        for _, chunk in self._chunks():
            squares += chunk.double().square().sum(0)
        self._scale = squares.rsqrt().float()
        if num_parameters * dimension <= HELD:
            self._held = [chunk for _, chunk in self._chunks()]

    def expand(self, coordinates: Float[Tensor, " dimension"]) -> Float[Tensor, " params"]:
        scaled = coordinates * self._scale
        return torch.cat([chunk @ scaled for _, chunk in self._chunks()])

    def adjoint(self, vector: Float[Tensor, " params"]) -> Float[Tensor, " dimension"]:
        total = torch.zeros_like(self._scale)
        for rows, chunk in self._chunks():
            total += vector[rows] @ chunk
        return total * self._scale

    def _chunks(self) -> Iterator[tuple[slice, Float[Tensor, "rows dimension"]]]:
        count, dimension = self._shape
        height = max(1, CHUNK // dimension)
        for number, start in enumerate(range(0, count, height)):
            rows = slice(start, min(start + height, count))
            if self._held is not None:
                yield rows, self._held[number]
                continue
            generator = torch.Generator().manual_seed(derive(self._seed, "rows", number))
            drawn = torch.randn(rows.stop - start, dimension, generator=generator)
            yield rows, drawn.to(self._device)
