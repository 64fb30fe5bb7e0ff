"""`Edits`: the ordered, replayable record of what turned one architecture into another."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, final

from surplus.base import InvalidArgument
from surplus.edits.intervals import Intervals, unpack


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """What was kept of one tensor along one axis, in the positions of the tensor before the edit."""

    tensor: str
    axis: int
    size: int
    """The length of the axis before."""
    kept: Intervals


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """Which units of a layer were kept, by their index before the edit."""

    layer: str
    size: int
    """The number of units before."""
    kept: Intervals

    @property
    def num_kept(self) -> int:
        """How many units are left."""
        return len(unpack(self.kept))


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Count:
    """An integer of a module that counts units, before and after."""

    module: str
    name: str
    place: int | None
    """Where it stands, in a tuple or list."""
    before: int
    after: int


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Renumbered:
    """A tensor whose values are positions of an axis, of which some were kept."""

    tensor: str
    size: int
    """The length of the axis before."""
    kept: Intervals


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """One removal of units: the units, and every slice of every tensor that went with them."""

    units: tuple[Kept, ...]
    slices: tuple[Slice, ...]
    integers: tuple[Count, ...] = ()
    numbers: tuple[Renumbered, ...] = ()
    difference: float | None = None
    """The largest absolute difference between the outputs of the cut and the masked model on the example."""

    @property
    def tensors(self) -> list[str]:
        """The names of the tensors that change."""
        names = [each.tensor for each in self.slices] + [each.tensor for each in self.numbers]
        return list(dict.fromkeys(names))


@final
@dataclass(frozen=True)
class Edits:
    """Structural edits in the order in which they were made; they travel inside a saved model."""

    steps: tuple[Cut, ...] = field(default=())

    def __add__(self, later: "Edits") -> "Edits":
        return Edits(self.steps + later.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def to_json(self) -> list[Any]:
        """Return the record as JSON data."""
        return [
            {
                "kind": "cut",
                "units": [
                    {"layer": each.layer, "size": each.size, "kept": [list(i) for i in each.kept]}
                    for each in step.units
                ],
                "slices": [
                    {
                        "tensor": each.tensor,
                        "axis": each.axis,
                        "size": each.size,
                        "kept": [list(i) for i in each.kept],
                    }
                    for each in step.slices
                ],
                "integers": [dataclasses.asdict(each) for each in step.integers],
                "numbers": [
                    {
                        "tensor": each.tensor,
                        "size": each.size,
                        "kept": [list(i) for i in each.kept],
                    }
                    for each in step.numbers
                ],
                "difference": step.difference,
            }
            for step in self.steps
        ]

    @classmethod
    def from_json(cls, data: Any) -> "Edits":
        """Rebuild the record from what `to_json` returned.

        Raises:
            InvalidArgument: the data is not that of a record of edits.
        """
        try:
            return cls(tuple(_cut(step) for step in data))
        except (KeyError, TypeError, ValueError) as broken:
            raise InvalidArgument(
                f"This is not the JSON form of a record of edits: {broken!r}."
            ) from broken


def _cut(data: Any) -> Cut:
    if data["kind"] != "cut":
        raise ValueError(f"an edit of kind {data['kind']!r}")
    units = tuple(
        Kept(layer=str(each["layer"]), size=int(each["size"]), kept=_intervals(each["kept"]))
        for each in data["units"]
    )
    slices = tuple(
        Slice(
            tensor=str(each["tensor"]),
            axis=int(each["axis"]),
            size=int(each["size"]),
            kept=_intervals(each["kept"]),
        )
        for each in data["slices"]
    )
    integers = tuple(
        Count(
            module=str(each["module"]),
            name=str(each["name"]),
            place=None if each["place"] is None else int(each["place"]),
            before=int(each["before"]),
            after=int(each["after"]),
        )
        for each in data.get("integers", [])
    )
    numbers = tuple(
        Renumbered(
            tensor=str(each["tensor"]), size=int(each["size"]), kept=_intervals(each["kept"])
        )
        for each in data.get("numbers", [])
    )
    difference = data["difference"]
    return Cut(
        units=units,
        slices=slices,
        integers=integers,
        numbers=numbers,
        difference=None if difference is None else float(difference),
    )


def _intervals(data: Any) -> Intervals:
    return tuple((int(start), int(end)) for start, end in data)
