"""The head of a report: what was run, how far, and how well it did."""

from dataclasses import dataclass
from typing import Any

from surplus.base import register
from surplus.store import Run
from surplus.viewer.views.view import View


@register("summary")
@dataclass(frozen=True, kw_only=True, slots=True)
class Summary(View):
    """Spec, environment, state, and the last evaluation.

    Reference: own; decisions/0007-plain-members.md.
    """

    def data(self, run: Run) -> Any | None:
        """Return the summary; it is there for every run that can be read."""
        spec = run.spec()
        status = run.status()
        evaluations = run.series("evaluation")
        return {
            "name": run.name,
            "fingerprint": run.fingerprint,
            "seed": run.seed,
            "spec": spec["spec"],
            "environment": run.environment(),
            "state": status.state,
            "step": status.step,
            "final": evaluations[-1].values if evaluations else {},
            "problems": run.problems(),
        }
