"""Mean activation: how much a unit emits."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.scores.layer import Layer
from surplus.scores.score import Score


@register("mean-activation")
@dataclass(frozen=True, kw_only=True, slots=True)
class MeanActivation(Score):
    """Score a unit by its mean output after the activation function, over all examples and positions.

    Reference: molchanov2017pruning, Section 2.2.
    """

    references: ClassVar = ("molchanov2017pruning",)

    def score(self, layer: Layer) -> Float[Tensor, " units"]:
        """Return the means."""
        total = torch.zeros(layer.group.size, dtype=torch.float64)
        count = 0
        for outputs in layer.activations():
            total += outputs.double().sum((0, 2)).cpu()
            count += outputs.shape[0] * outputs.shape[2]
        return total / count
