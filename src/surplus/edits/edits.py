"""`Edits`: the ordered, replayable record of what turned one architecture into another."""

from dataclasses import dataclass, field
from typing import Any, final

from surplus.base import InvalidArgument
from surplus.edits.records import Step, step_from_json


@final
@dataclass(frozen=True)
class Edits:
    """Structural edits in the order in which they were made; they travel inside a saved model."""

    steps: tuple[Step, ...] = field(default=())

    def __add__(self, later: "Edits") -> "Edits":
        return Edits(self.steps + later.steps)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def kinds(self) -> tuple[str, ...]:
        """What was done, in order: "cut", "merge", "grow", "split", "factorise" or "insert"."""
        return tuple(step.to_json()["kind"] for step in self.steps)

    def to_json(self) -> list[Any]:
        """Return the record as JSON data."""
        return [step.to_json() for step in self.steps]

    @classmethod
    def from_json(cls, data: Any) -> "Edits":
        """Rebuild the record from what `to_json` returned.

        Raises:
            InvalidArgument: the data is not that of a record of edits.
        """
        try:
            return cls(tuple(step_from_json(step) for step in data))
        except (AttributeError, KeyError, TypeError, ValueError) as broken:
            raise InvalidArgument(
                f"This is not the JSON form of a record of edits: {broken!r}."
            ) from broken
