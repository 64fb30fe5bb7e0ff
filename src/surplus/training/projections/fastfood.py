"""The Fastfood projection: a Gaussian matrix in disguise, applied by fast transforms."""

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from surplus.base import derive, register
from surplus.training.projection import LinearMap, Projection
from surplus.training.projections.hadamard import walsh_hadamard


@register("fastfood")
@dataclass(frozen=True, kw_only=True, slots=True)
class Fastfood(Projection):
    """Square blocks S H G Pi H B, one under the other: B signs, H the Hadamard matrix, Pi a permutation, G Gaussian.

    The coordinates are padded to a power of two, L. A product takes O(D log L) time and O(D) memory for D parameters,
    however many coordinates there are.

    Reference: le2013fastfood, the product of its five matrices; li2018intrinsic for its use.
    S gives all rows of a block the same length, here 1 / sqrt(D / L), so that lengths are kept on average.
    """

    references: ClassVar = ("le2013fastfood", "li2018intrinsic")

    def build(
        self, num_parameters: int, dimension: int, seed: int, device: torch.device
    ) -> LinearMap:
        """Return the map that a seed stands for."""
        return _Blocks(num_parameters, dimension, seed, device)


@final
class _Blocks:
    def __init__(
        self, num_parameters: int, dimension: int, seed: int, device: torch.device
    ) -> None:
        self._count, self._dimension = num_parameters, dimension
        self._length = 1 << (dimension - 1).bit_length()
        shape = -(-num_parameters // self._length), self._length
        generator = torch.Generator().manual_seed(derive(seed, "blocks"))
        signs = torch.randint(0, 2, shape, generator=generator) * 2 - 1
        order = torch.rand(shape, generator=generator, dtype=torch.float64).argsort(dim=1)
        gaussian = torch.randn(shape, generator=generator)
        self._signs = signs.float().to(device)
        self._order = order.to(device)
        self._back = order.argsort(dim=1).to(device)
        self._gaussian = gaussian.to(device)
        self._scale = (gaussian.norm(dim=1, keepdim=True) * math.sqrt(num_parameters)).to(device)

    def expand(self, coordinates: Float[Tensor, " dimension"]) -> Float[Tensor, " params"]:
        padded = F.pad(coordinates, (0, self._length - self._dimension))
        mixed = walsh_hadamard(self._signs * padded).gather(1, self._order)
        return (walsh_hadamard(self._gaussian * mixed) / self._scale).flatten()[: self._count]

    def adjoint(self, vector: Float[Tensor, " params"]) -> Float[Tensor, " dimension"]:
        padded = F.pad(vector, (0, self._signs.numel() - self._count))
        mixed = self._gaussian * walsh_hadamard(padded.view_as(self._signs) / self._scale)
        blocks = self._signs * walsh_hadamard(mixed.gather(1, self._back))
        return blocks.sum(0)[: self._dimension]
