"""Frame potential without normalisation: overlaps weighed by the lengths of the weight vectors."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.passes.geometry import squared_overlaps
from surplus.scores.layer import Layer
from surplus.scores.rankings import PairSums
from surplus.scores.score import Score


@register("frame-potential-raw")
@dataclass(frozen=True, kw_only=True, slots=True)
class FramePotentialRaw(Score):
    """Score a unit by its contribution to ||W W^T||_F^2, c_i = sum_j <w_i, w_j>^2, over the units that are left.

    Long weight vectors dominate: this criterion lies between `Magnitude` and `FramePotential`.

    Reference: heitmann2020sources, the variant `fp_mod` of the code.
    """

    references: ClassVar = ("heitmann2020sources",)

    def score(self, layer: Layer) -> Float[Tensor, " units"]:
        """Return the contributions."""
        return self.start(layer).scores

    def start(self, layer: Layer) -> PairSums:
        """Return the contributions in a form that follows removals."""
        return PairSums(squared_overlaps(layer.weight_vectors), layer)
