"""The dense, the masked and the cut network side by side."""

from dataclasses import dataclass
from typing import Any

from surplus.base import register
from surplus.store import Run
from surplus.viewer.views.view import View


@register("comparison")
@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison(View):
    """One table per cut of the run: parameters, MACs, bytes, measured latency, accuracy.

    Reference: own; decisions/0007-plain-members.md.
    """

    def data(self, run: Run) -> Any | None:
        """Return the tables with the settings of each cut."""
        found = [
            {
                "settings": computation.settings,
                "rows": list(computation.tables["comparison"].rows()),
                "units": computation.tables["comparison"].units,
                "layers": [
                    {"layer": each["layer"], "size": each["size"], "kept": _count(each["kept"])}
                    for step in computation.values["edits"]
                    for each in step["units"]
                ],
            }
            for computation in run.current("cutting")
        ]
        return found or None


def _count(intervals: list[list[int]]) -> int:
    return sum(end - start for start, end in intervals)
