"""Mean absolute inner product: how close a unit's direction is to the others, linearly."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.passes.geometry import directions
from surplus.scores.layer import Layer
from surplus.scores.rankings import PairMeans
from surplus.scores.score import Score


@register("inner-product")
@dataclass(frozen=True, kw_only=True, slots=True)
class InnerProduct(Score):
    """Score a unit by the mean of |<w^_i, w^_j>| over the other units j that are left.

    The linear counterpart of `FramePotential`: many small overlaps weigh as much as one large one.

    Reference: heitmann2020sources, the variant `ip` of the code.
    """

    references: ClassVar = ("heitmann2020sources",)

    def score(self, layer: Layer) -> Float[Tensor, " units"]:
        """Return the means."""
        return self.start(layer).scores

    def start(self, layer: Layer) -> PairMeans:
        """Return the means in a form that follows removals."""
        rows = directions(layer.weight_vectors)
        return PairMeans((rows @ rows.T).abs().fill_diagonal_(0.0), layer)
