"""The learning curve: loss and accuracy through training."""

from dataclasses import dataclass
from typing import Any

from surplus.base import register
from surplus.store import Run
from surplus.viewer.views.view import View


@register("learning")
@dataclass(frozen=True, kw_only=True, slots=True)
class Learning(View):
    """Evaluations and the training loss over steps.

    Reference: own; decisions/0007-plain-members.md.
    """

    def data(self, run: Run) -> Any | None:
        """Return the series."""
        evaluations = run.series("evaluation")
        if not evaluations:
            return None
        names = list(dict.fromkeys(name for event in evaluations for name in event.values))
        series = {
            name: [
                [event.step, event.values[name]] for event in evaluations if name in event.values
            ]
            for name in names
        }
        series["train_loss"] = [[event.step, event.values["loss"]] for event in run.series("train")]
        return series
