"""History: what a run wrote down while it trained, as a table."""

from dataclasses import dataclass

from surplus.base import Table, register, unknown_name
from surplus.methods.context import Context
from surplus.methods.method import Method
from surplus.methods.results import Results
from surplus.store import Run


@register("history")
@dataclass(frozen=True, kw_only=True, slots=True)
class History(Method):
    """Read the events of one kind out of a run's log; `events` has one row for each.

    Reference: own; decisions/0021-studies.md.
    """

    event: str = "evaluation"
    """The kind of event: "evaluation" holds loss and accuracy of the parts, "training" the mean training loss."""

    def compute(self, run: Run, context: Context) -> Results:
        """Return the events with their steps; lists and other values that are no cells are left out.

        Raises:
            UnknownName: the run wrote no event of that kind down.
        """
        series = run.series(self.event)
        if not series:
            kinds = sorted({event.kind for event in run.events().events})
            raise unknown_name("kind of event", self.event, kinds)
        rows = [
            {
                "step": event.step,
                **{
                    key: cell
                    for key, cell in event.values.items()
                    if not isinstance(cell, list | dict)
                },
            }
            for event in series
        ]
        return Results(tables={"events": Table.from_rows(rows)})
