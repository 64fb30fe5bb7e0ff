"""Leave-one-out loss: what a unit's removal really costs."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.scores.layer import Layer
from surplus.scores.leave_one_out import LeaveOneOut
from surplus.scores.score import Score


@register("leave-one-out-loss")
@dataclass(frozen=True, kw_only=True, slots=True)
class LeaveOneOutLoss(Score):
    """Score a unit by how much the mean loss rises when it alone is removed, exactly.

    Reference: mozer1989skeletonization, Section 2: the relevance that other criteria approximate.
    """

    references: ClassVar = ("mozer1989skeletonization",)

    def score(self, layer: Layer) -> Float[Tensor, " units"]:
        """Return the rises."""
        return self.start(layer).scores

    def start(self, layer: Layer) -> LeaveOneOut:
        """Return the rises in a form that follows removals."""
        return LeaveOneOut(layer, lambda singles: singles.loss - singles.full_loss)
