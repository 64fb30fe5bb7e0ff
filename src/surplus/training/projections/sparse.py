"""The sparse projection: signs at few places."""

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from surplus.base import derive, register
from surplus.training.projection import LinearMap, Projection


@register("sparse")
@dataclass(frozen=True, kw_only=True, slots=True)
class Sparse(Projection):
    """Plus or minus one at one in sqrt(D) places, drawn at random, scaled to columns of length 1 on average.

    Reference: li2006sparse, the very sparse projection; li2018intrinsic for its use.
    """

    references: ClassVar = ("li2006sparse", "li2018intrinsic")

    def build(
        self, num_parameters: int, dimension: int, seed: int, device: torch.device
    ) -> LinearMap:
        """Return the map that a seed stands for."""
        return _Signs(num_parameters, dimension, seed, device)


@final
class _Signs:
    def __init__(
        self, num_parameters: int, dimension: int, seed: int, device: torch.device
    ) -> None:
        self._shape = num_parameters, dimension
        density = 1 / math.sqrt(num_parameters)
        generator = torch.Generator().manual_seed(derive(seed, "places"))
        places = _chosen(num_parameters * dimension, density, generator)
        signs = torch.randint(0, 2, places.shape, generator=generator) * 2 - 1
        self._rows = (places // dimension).to(device)
        self._columns = (places % dimension).to(device)
        self._values = (signs / math.sqrt(num_parameters * density)).float().to(device)

    def expand(self, coordinates: Float[Tensor, " dimension"]) -> Float[Tensor, " params"]:
        found = torch.zeros(self._shape[0], device=coordinates.device)
        return found.index_add_(0, self._rows, self._values * coordinates[self._columns])

    def adjoint(self, vector: Float[Tensor, " params"]) -> Float[Tensor, " dimension"]:
        found = torch.zeros(self._shape[1], device=vector.device)
        return found.index_add_(0, self._columns, self._values * vector[self._rows])


def _chosen(count: int, density: float, generator: torch.Generator) -> Int[Tensor, " chosen"]:
    """Return which of `count` places are chosen, each with the same chance, by drawing the gaps between them."""
    found = torch.zeros(1, dtype=torch.int64) - 1
    while found[-1] < count - 1:
        missing = (count - 1 - int(found[-1])) * density
        gaps = torch.empty(int(missing + 4 * math.sqrt(missing)) + 1, dtype=torch.float64)
        gaps = gaps.geometric_(density, generator=generator).to(torch.int64)
        found = torch.cat([found, found[-1] + gaps.cumsum(0)])
    return found[(found >= 0) & (found < count)]
