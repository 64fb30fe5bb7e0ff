"""What a study found: the tables of its methods over all arms and replicas."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, final

import pandas

from surplus.base import Cell, InvalidArgument, unknown_name
from surplus.studies.claim import Scale

SHOWN = 12  # values that an error lists


@final
class Found:
    """One frame for each table of each method, "ablation/curves" or "measuring/findings".

    In front of a table's own columns stand the labels of the arm, the `replica` (the run's seed) and the `run`.
    """

    def __init__(self, frames: Mapping[str, pandas.DataFrame], scale: Scale) -> None:
        self._frames = dict(frames)
        self.scale = scale

    def __getitem__(self, name: str) -> pandas.DataFrame:
        """Return a frame, copied.

        Raises:
            UnknownName: no method of the study returned a table of that name.
        """
        if name not in self._frames:
            raise unknown_name("table", name, self._frames)
        return self._frames[name].copy()

    def names(self) -> list[str]:
        """Return the names of the frames."""
        return list(self._frames)

    def quantity(self, name: str, measure: str | None = None) -> pandas.DataFrame:
        """Return the rows of "measuring/findings" that hold one quantity, found by any measure or by the one named."""
        frame = self["measuring/findings"]
        rows = frame[frame["quantity"] == name]
        if rows.empty:
            raise unknown_name("quantity", name, sorted(set(frame["quantity"].dropna())))
        return rows if measure is None else pick(rows, measure=measure)


def pick(frame: pandas.DataFrame, /, **equal: Cell) -> pandas.DataFrame:
    """Return the rows whose named columns hold the given values; None means the rows that hold none.

    Raises:
        UnknownName: there is no such column.
        InvalidArgument: no row has these values.
    """
    for name in equal:
        if name not in frame:
            raise unknown_name("column", name, list(frame))
    chosen = frame
    for name, value in equal.items():
        chosen = chosen[chosen[name].isna() if value is None else chosen[name] == value]
    if chosen.empty:
        there = "; ".join(f"`{name}` holds {_values(frame[name])}" for name in equal)
        raise InvalidArgument(f"No row has {equal}: {there}.")
    return chosen


def _values(column: "pandas.Series[Any]") -> str:
    known = sorted(map(str, column.dropna().unique()))
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return (", ".join(known[:SHOWN]) or "nothing") + more


def paired(
    frame: pandas.DataFrame,
    value: str,
    some: Mapping[str, Cell],
    other: Mapping[str, Cell],
    by: str | Sequence[str] = "replica",
) -> "pandas.Series[float]":
    """Return the differences some - other of a column, replica by replica; several rows of a replica are averaged.

    Args:
        frame: Rows of both arms.
        value: The column.
        some: What singles out the rows of the first arm, such as `{"score": "magnitude"}`.
        other: What singles out those of the second.
        by: What pairs them.

    What is in one arm only is left out: an arm may have more seeds than the other.

    Raises:
        UnknownName: there is no such column.
        InvalidArgument: an arm has no rows, or the two have no replica in common.
    """
    for name in (value, *([by] if isinstance(by, str) else by)):
        if name not in frame:
            raise unknown_name("column", name, list(frame))
    keys: Hashable | list[str] = by if isinstance(by, str) else list(by)
    first, second = (pick(frame, **arm).groupby(keys)[value].mean() for arm in (some, other))
    difference = (first - second)[first.index.intersection(second.index)]
    if difference.empty:
        raise InvalidArgument(
            f"{some} and {other} have no `{by}` in common, so nothing can be paired."
        )
    return difference
