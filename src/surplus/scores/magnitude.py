"""Magnitude: the norm of a unit's incoming weights."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument, register
from surplus.scores.layer import Layer
from surplus.scores.score import Score


@register("magnitude")
@dataclass(frozen=True, kw_only=True, slots=True)
class Magnitude(Score):
    """Score a unit by the norm of its incoming weights.

    Reference: li2017pruning, Section 3.1 (with power = 1, on filters).

    Example:
        >>> import torch
        >>> from surplus.scores import score
        >>> from surplus.units import find_units
        >>> net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
        >>> _ = net[0].weight.data.copy_(torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
        >>> score(net, find_units(net, torch.zeros(1, 2)), by=Magnitude()).values["0"].tolist()
        [5.0, 1.0]
    """

    references: ClassVar = ("li2017pruning",)

    power: int = 2
    """The norm: 1 for the sum of absolute values, 2 for the Euclidean length."""

    def __post_init__(self) -> None:
        if self.power not in (1, 2):
            raise InvalidArgument(f"`power` is {self.power}; it must be 1 or 2.")

    def score(self, layer: Layer) -> Float[Tensor, " units"]:
        """Return the norms."""
        return layer.weight_vectors.norm(p=self.power, dim=1)
