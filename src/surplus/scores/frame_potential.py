"""Frame potential: how much a unit's direction overlaps with those of the others."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.passes.geometry import directions, squared_overlaps
from surplus.scores.layer import Layer
from surplus.scores.rankings import PairSums
from surplus.scores.score import Score


@register("frame-potential")
@dataclass(frozen=True, kw_only=True, slots=True)
class FramePotential(Score):
    """Score a unit by its contribution to the layer's frame potential, c_i = sum_j <w^_i, w^_j>^2.

    w^ are the incoming weights at unit length, and the sum runs over the units that are left, i included. Removing the
    lowest first takes out the most isolated directions; removing the highest first, the most repeated ones.

    Reference: heitmann2020sources, Section 3; benedetto2003finite for the frame potential.
    The signs of overlaps do not count, so opposite directions are as close as equal ones.
    """

    references: ClassVar = ("heitmann2020sources", "benedetto2003finite")

    def score(self, layer: Layer) -> Float[Tensor, " units"]:
        """Return the contributions."""
        return self.start(layer).scores

    def start(self, layer: Layer) -> PairSums:
        """Return the contributions in a form that follows removals."""
        return PairSums(squared_overlaps(directions(layer.weight_vectors)), layer)
