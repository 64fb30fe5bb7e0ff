"""The probe that records loss and accuracy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from surplus.base import Moments, Probe, RunState, register
from surplus.training.moments.each_epoch import EachEpoch


@register("evaluation")
@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation(Probe):
    """Record loss and accuracy on parts of the task, as `<part>_loss` and `<part>_accuracy`.

    The loss is the task's; a task without labels has no accuracy, which is then None.

    Reference: own; decisions/0007-plain-members.md.
    """

    at: Moments = EachEpoch()
    """When to look."""
    parts: tuple[Literal["train", "validation", "test"], ...] = ("validation", "test")
    """Which parts to look at. Whatever is chosen is chosen on validation; test is only reported."""

    def look(self, state: RunState) -> Mapping[str, Any]:
        """Return the losses and accuracies."""
        values: dict[str, float | None] = {}
        for part in self.parts:
            found = state.performance(part)
            values[f"{part}_loss"] = found.loss
            values[f"{part}_accuracy"] = found.accuracy
        return values
