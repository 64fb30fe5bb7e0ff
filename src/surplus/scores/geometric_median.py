"""Geometric median: how far a unit's weights lie from those of all others."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.scores.layer import Layer
from surplus.scores.rankings import PairSums
from surplus.scores.score import Score


@register("geometric-median")
@dataclass(frozen=True, kw_only=True, slots=True)
class GeometricMedian(Score):
    """Score a unit by the sum of Euclidean distances from its incoming weights to those of all units that are left.

    The unit with the smallest sum lies nearest to the geometric median: the others can stand in for it.

    Reference: he2019filter, Equations 4 to 7.
    """

    references: ClassVar = ("he2019filter",)

    def score(self, layer: Layer) -> Float[Tensor, " units"]:
        """Return the sums of distances."""
        return self.start(layer).scores

    def start(self, layer: Layer) -> PairSums:
        """Return the sums of distances in a form that follows removals."""
        rows = layer.weight_vectors.double()
        return PairSums(torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist"), layer)
