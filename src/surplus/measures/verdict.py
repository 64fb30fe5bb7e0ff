"""The verdict: what the report found, in plain words with its numbers."""

from collections.abc import Callable, Iterator, Mapping
from textwrap import fill
from typing import final

from surplus.base import Cell, Table
from surplus.measures.untreated import UNTREATED

WIDTH = 110
Key = tuple[str, str]
Number = Callable[[str, str], str | None]


def verdict(table: Table) -> str:
    """Return the report in words: a paragraph for each layer, one for the network, and what could not be measured.

    Of several snapshots the last is described, with what was true of the first beside it.
    """
    steps = sorted({int(step) for step in table.columns.get("step", []) if step is not None})
    last = Numbers(table, steps[-1] if steps else None)
    first = Numbers(table, steps[0]) if len(steps) > 1 else None
    words = [
        fill(f"{name}: {'; '.join(_layer(last, first, name))}.", WIDTH, subsequent_indent="  ")
        for name in last.layers()
    ]
    network = list(_network(last))
    if network:
        words.append(fill(f"The network: {'; '.join(network)}.", WIDTH, subsequent_indent="  "))
    words += _untreated(last)
    return "\n".join(words)


@final
class Numbers:
    """The findings of one snapshot, by layer, measure and quantity."""

    def __init__(self, table: Table, step: int | None) -> None:
        self.step = step
        self._rows = [row for row in table.rows() if step is None or row["step"] == step]
        self._found: dict[tuple[Cell, str, Cell], dict[str, Cell]] = {}
        for row in self._rows:
            if row["unit"] is None and row["at"] is None and row["other"] is None:
                key = row["layer"], str(row["measure"]).split("(")[0], row["quantity"]
                self._found.setdefault(key, row)

    def layers(self) -> list[str]:
        """Return the layers whose units were counted, in the order of the network."""
        return [str(layer) for layer, _, quantity in self._found if quantity == "num_units"]

    def get(self, layer: str | None, key: Key) -> float | None:
        """Return a number, if it was found."""
        row = self._found.get((layer, *key))
        value = None if row is None else row["value"]
        return None if value is None else float(value)

    def row(self, layer: str | None, key: Key) -> Mapping[str, Cell]:
        """Return a finding with all that belongs to it; empty if there is none."""
        return self._found.get((layer, *key), {})

    def untreated(self) -> Iterator[tuple[str, str, str]]:
        """Yield each reason why a measure says nothing, with the measure and the layer."""
        for row in self._rows:
            if row["quantity"] == UNTREATED:
                yield str(row["note"]), str(row["measure"]), str(row["layer"] or "")


def _layer(last: Numbers, first: Numbers | None, name: str) -> Iterator[str]:
    def number(measure: str, quantity: str) -> str | None:
        """A number, with what it was at the first snapshot if that is another."""
        value = last.get(name, (measure, quantity))
        if value is None:
            return None
        before = None if first is None else first.get(name, (measure, quantity))
        if first is None or before is None or written(before) == written(value):
            return written(value)
        return f"{written(value)} ({written(before)} at step {first.step:,})"

    yield f"{number('dead-units', 'num_units')} units"
    yield ", ".join(_counts(number)) or "no data to judge its units by"
    yield from _directions(number)


def _counts(number: Number) -> Iterator[str]:
    for words, key in (
        ("dead", ("dead-units", "num_dead")),
        ("always on", ("dead-units", "num_always_on")),
        ("constant", ("dead-units", "num_constant")),
    ):
        value = number(*key)
        if value is not None and (words == "dead" or value != "0"):
            yield f"{value} {words}"


def _directions(number: Number) -> Iterator[str]:
    potential = number("frame-potential", "frame_potential")
    if potential is not None:
        least = number("frame-potential", "least_frame_potential")
        greatest = number("frame-potential", "greatest_frame_potential")
        yield f"frame potential {potential} between {least} and {greatest}"


def _network(last: Numbers) -> Iterator[str]:
    yield from ()


def _untreated(last: Numbers) -> list[str]:
    by_reason: dict[str, dict[str, list[str]]] = {}
    for reason, measure, layer in last.untreated():
        by_reason.setdefault(reason, {}).setdefault(measure, []).append(layer)
    lines = []
    for reason, measures in by_reason.items():
        names = "; ".join(
            measure + (f" of {', '.join(filter(None, layers))}" if any(layers) else "")
            for measure, layers in measures.items()
        )
        lines.append(fill(f"Not measured: {names}: {reason}.", WIDTH, subsequent_indent="  "))
    return lines


def written(value: float) -> str:
    """Return a number as people read it: whole ones whole, others to three digits.

    Example:
        >>> written(90000.0), written(434.157), written(0.0123456)
        ('90,000', '434', '0.0123')
    """
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
