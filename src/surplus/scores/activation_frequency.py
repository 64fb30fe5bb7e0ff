"""Activation frequency: how often a unit says anything at all."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.scores.layer import Layer
from surplus.scores.score import Score


@register("activation-frequency")
@dataclass(frozen=True, kw_only=True, slots=True)
class ActivationFrequency(Score):
    """Score a unit by the share of examples and positions at which its output is not zero.

    Reference: hu2016network, Equation 1: one minus the average percentage of zeros.
    """

    references: ClassVar = ("hu2016network",)

    def score(self, layer: Layer) -> Float[Tensor, " units"]:
        """Return the shares."""
        total = torch.zeros(layer.group.size, dtype=torch.int64)
        count = 0
        for outputs in layer.activations():
            total += (outputs != 0).sum((0, 2)).cpu()
            count += outputs.shape[0] * outputs.shape[2]
        return total.double() / count
