"""Outgoing norm: how loudly a unit is heard."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.scores.layer import Layer
from surplus.scores.score import Score


@register("outgoing-norm")
@dataclass(frozen=True, kw_only=True, slots=True)
class OutgoingNorm(Score):
    """Score a unit by the Euclidean norm of its outgoing weights.

    Reference: mozer1989skeletonization, Section 2, where it is the naive measure of relevance.
    The Euclidean norm is taken.
    """

    references: ClassVar = ("mozer1989skeletonization",)

    def score(self, layer: Layer) -> Float[Tensor, " units"]:
        """Return the norms."""
        return layer.outgoing.norm(dim=1)
