"""The family of projections: random linear maps from a few coordinates to all parameters."""

from abc import abstractmethod
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import Family


@runtime_checkable
class LinearMap(Protocol):
    """A matrix P that need not be held: `expand` is P x, `adjoint` is its transpose times y."""

    def expand(self, coordinates: Float[Tensor, " dimension"]) -> Float[Tensor, " params"]:
        """Return the parameters that coordinates stand for."""
        ...

    def adjoint(self, vector: Float[Tensor, " params"]) -> Float[Tensor, " dimension"]:
        """Return the products of a vector of parameters with all columns."""
        ...


class Projection(Family):
    """A way to draw a random linear map that keeps lengths on average: E |P x|^2 = |x|^2."""

    __slots__ = ()

    @abstractmethod
    def build(
        self, num_parameters: int, dimension: int, seed: int, device: torch.device
    ) -> LinearMap:
        """Return the map that a seed stands for; the device does not change what is drawn."""
