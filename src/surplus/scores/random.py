"""Random: the control that every criterion has to beat."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import derive, register
from surplus.scores.layer import Layer
from surplus.scores.score import Score


@register("random")
@dataclass(frozen=True, kw_only=True, slots=True)
class Random(Score):
    """Score every unit by a uniform draw, whatever it does.

    Reference: own; decisions/0004-random-control.md. The control without which no criterion's curve means anything.
    """

    seed: int = 0
    """The draw; each layer has a stream of its own under it."""

    def score(self, layer: Layer) -> Float[Tensor, " units"]:
        """Return the draws."""
        generator = torch.Generator().manual_seed(derive(self.seed, "random", layer.name))
        return torch.rand(layer.group.size, generator=generator, dtype=torch.float64)
