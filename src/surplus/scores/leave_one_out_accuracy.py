"""Leave-one-out accuracy: how many examples a unit's removal really costs."""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.scores.layer import Layer
from surplus.scores.leave_one_out import LeaveOneOut
from surplus.scores.score import Score


@register("leave-one-out-accuracy")
@dataclass(frozen=True, kw_only=True, slots=True)
class LeaveOneOutAccuracy(Score):
    """Score a unit by how much the accuracy falls when it alone is removed, exactly.

    Reference: morcos2018importance, Section 2.2 (with units clamped to zero).
    """

    references: ClassVar = ("morcos2018importance",)

    def score(self, layer: Layer) -> Float[Tensor, " units"]:
        """Return the falls."""
        return self.start(layer).scores

    def start(self, layer: Layer) -> LeaveOneOut:
        """Return the falls in a form that follows removals."""
        return LeaveOneOut(
            layer,
            lambda found: (found.full_correct - found.correct).double() / found.num_examples,
        )
