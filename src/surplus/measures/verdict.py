"""The verdict: what the report found, in plain words with its numbers."""

import re
from collections.abc import Iterator
from textwrap import fill
from typing import final

from surplus.base import Cell, Table
from surplus.measures.removable_units import RemovableUnits
from surplus.measures.untreated import UNTREATED

WIDTH = 110


def verdict(table: Table) -> str:
    """Return the report in words: a paragraph for each layer, one for the network, and what could not be measured.

    Of several snapshots the first and the last are compared.
    """
    steps = sorted({int(step) for step in table.columns.get("step", []) if step is not None})
    last = Numbers(table, steps[-1] if steps else None)
    first = Numbers(table, steps[0]) if len(steps) > 1 else None
    words = []
    if first is not None:
        words.append(f"From step {first.step:,} to step {last.step:,}:")
    for name in last.layers():
        sentence = "; ".join(_layer(Compared(last, first, name)))
        words.append(fill(f"{name}: {sentence}.", WIDTH, subsequent_indent="  "))
    network = "; ".join(_network(Compared(last, first, None)))
    if network:
        words.append(fill(f"The network: {network}.", WIDTH, subsequent_indent="  "))
    return "\n".join(words + _untreated(last))


@final
class Numbers:
    """The findings of one snapshot that are of a layer or of the network, by measure and quantity."""

    def __init__(self, table: Table, step: int | None) -> None:
        self.step = step
        self.rows = [row for row in table.rows() if step is None or row["step"] == step]
        self._found: dict[tuple[Cell, ...], dict[str, Cell]] = {}
        for row in self.rows:
            if row["unit"] is None and row["example"] is None and row["other"] is None:
                key = row["layer"], kind_of(row["measure"]), row["quantity"]
                self._found.setdefault(key, row)
                self._found.setdefault((*key, row["at"]), row)

    def layers(self) -> list[str]:
        """Return the layers whose units were counted, in the order of the network."""
        named = {key[0] for key in self._found if key[2] in ("num_units", "frame_potential")}
        in_order = dict.fromkeys(row["layer"] for row in self.rows)
        return [str(name) for name in in_order if name in named]

    def row(self, *key: Cell) -> dict[str, Cell]:
        """Return a finding with all that belongs to it; empty if there is none."""
        return self._found.get(key, {})


@final
class Compared:
    """The numbers of one layer, or of the network, in words, with what they were at the first snapshot."""

    def __init__(self, last: Numbers, first: Numbers | None, layer: str | None) -> None:
        self.last, self.first, self.layer = last, first, layer

    def value(self, *key: Cell) -> float | None:
        """Return a number, if it was found."""
        value = self.last.row(self.layer, *key).get("value")
        return None if value is None else float(value)

    def words(self, *key: Cell, percent: bool = False) -> str | None:
        """Return a number as people read it, if it was found."""
        write = in_percent if percent else written
        value = self.value(*key)
        if value is None:
            return None
        before = None if self.first is None else self.first.row(self.layer, *key).get("value")
        if self.first is None or before is None or write(float(before)) == write(value):
            return write(value)
        return f"{write(float(before))} -> {write(value)}"


def _tolerance(of: Compared) -> str:
    """Return in points what a removal may cost, as the label of the measure says where it is not the default."""
    label = str(of.last.row(of.layer, "removable-units", "num_removable_each").get("measure"))
    said = re.search(r"tolerance=([^,]+)", label)
    points = 100 * (float(said[1]) if said else RemovableUnits().tolerance)
    return f"{points:g} point" + ("s" if points > 1 else "")


def _layer(of: Compared) -> Iterator[str]:
    units = of.words("dead-units", "num_units")
    if units is not None:
        yield f"{units} units"
    counts = ", ".join(_counts(of))
    if counts:
        yield counts + _of_examples(of, "repeated-units", "num_repeated")
    removable = of.words("removable-units", "num_removable_each")
    if removable is not None:
        together = of.words("removable-units", "num_removable_together")
        n = _of_examples(of, "removable-units", "num_removable_each")
        yield f"{removable} removable at less than {_tolerance(of)} each, {together} together{n}"
    yield from _directions(of)
    yield from _noise(of)
    moved = of.words("distance-from-init", "relative_distance", percent=True)
    if moved is not None:
        yield f"{moved} of its initial norm away from initialisation"
    free = of.words("free-parameters", "free_share", percent=True)
    if free is not None:
        yield f"{free} of the directions of its parameters free"


def _of_examples(of: Compared, *key: Cell) -> str:
    n = of.last.row(of.layer, *key).get("n")
    return "" if n is None else f" ({n:,} examples)"


def _counts(of: Compared) -> Iterator[str]:
    for quantity, what in (("num_dead", "dead"), ("num_constant", "constant")):
        value = of.words("dead-units", quantity)
        if value is not None and (what == "dead" or value != "0"):
            yield f"{value} {what}"
    always_on = of.words("dead-units", "num_always_on")
    if always_on is not None and always_on != "0":
        yield f"{always_on} always on"
    repeated = of.words("repeated-units", "num_repeated")
    if repeated is not None:
        groups = of.value("repeated-units", "num_groups") or 0
        yield f"{repeated} repeated" + _in_sets(groups, "group")
    synchronised = of.words("synchronised-units", "num_synchronised")
    if synchronised is not None:
        blocks = of.value("synchronised-units", "num_blocks") or 0
        yield f"{synchronised} synchronised" + _in_sets(blocks, "block")


def _in_sets(count: float, what: str) -> str:
    return f" in {written(count)} {what}{'' if count == 1 else 's'}" if count else ""


def _directions(of: Compared) -> Iterator[str]:
    rank = of.words("accuracy-rank", "accuracy_rank")
    if rank is not None:
        full = of.value("accuracy-rank", "full_rank") or 0
        yield f"rank {rank} of {written(full)} carries the accuracy"
    width = of.words("activation-rank", "num_components", 0.95)
    if width is not None:
        yield f"{width} components hold 95 % of the variance of its outputs"
    potential = of.words("frame-potential", "frame_potential")
    if potential is not None:
        least = written(of.value("frame-potential", "least_frame_potential") or 0)
        greatest = written(of.value("frame-potential", "greatest_frame_potential") or 0)
        chance = written(of.value("frame-potential", "random_frame_potential") or 0)
        yield f"frame potential {potential} between {least} and {greatest} ({chance} by chance)"


def _noise(of: Compared) -> Iterator[str]:
    spikes = of.words("marchenko-pastur", "num_spikes")
    if spikes is not None:
        share = of.words("marchenko-pastur", "spike_share", percent=True)
        plural = "direction" if of.value("marchenko-pastur", "num_spikes") == 1 else "directions"
        yield f"{spikes} {plural} above the noise with {share} of the energy"


def _network(of: Compared) -> Iterator[str]:
    train = of.words("generalisation-gap", "train_accuracy", percent=True)
    if train is not None:
        test = of.words("generalisation-gap", "test_accuracy", percent=True)
        gap = of.last.row(None, "generalisation-gap", "accuracy_gap")
        low, value, high = (100 * float(gap[each] or 0) for each in ("lower", "value", "upper"))
        yield (
            f"accuracy {train} on train{_of_examples(of, 'generalisation-gap', 'train_accuracy')} and {test} on"
            f" test{_of_examples(of, 'generalisation-gap', 'test_accuracy')}, a gap of {value:.2f} points ({low:.2f} to"
            f" {high:.2f})"
        )
    coherence = of.words("coherence", "m_alpha")
    if coherence is not None:
        row = of.last.row(None, "coherence", "m_alpha")
        ends = [written(float(row[end] or 0)) for end in ("lower", "upper") if row[end] is not None]
        interval = f"{' to '.join(ends)}; " if ends else ""
        yield f"an example's gradient helps {coherence} of {row['n']:,} examples ({interval}1 by chance)"
    collapse = next(
        (row for row in of.last.rows if row["quantity"] == "nc1_within_to_between"), None
    )
    if collapse is not None and collapse["value"] is not None:
        yield f"classes vary {written(float(collapse['value']))} times as much within as between (NC1)"
    pairs = [
        row for row in of.last.rows if row["quantity"] == "linear_cka" and row["value"] is not None
    ]
    if pairs:
        closest = max(pairs, key=lambda row: float(row["value"] or 0))
        cka = written(float(closest["value"] or 0))
        yield f"most alike are the outputs of {closest['layer']} and {closest['other']} (CKA {cka})"


def _untreated(last: Numbers) -> list[str]:
    by_reason: dict[str, dict[str, list[str]]] = {}
    for row in last.rows:
        if row["quantity"] == UNTREATED:
            measures = by_reason.setdefault(str(row["note"]), {})
            layers = measures.setdefault(kind_of(row["measure"]), [])
            layers += [str(row["layer"])] if row["layer"] else []
    lines = []
    for reason, measures in by_reason.items():
        names = "; ".join(
            measure + (f" of {', '.join(dict.fromkeys(layers))}" if layers else "")
            for measure, layers in measures.items()
        )
        lines.append(fill(f"Not measured: {names}: {reason}.", WIDTH, subsequent_indent="  "))
    return lines


def kind_of(label: Cell) -> str:
    """Return the name of a measure without its settings.

    Example:
        >>> kind_of("cka:positions=all"), kind_of("power-law")
        ('cka', 'power-law')
    """
    return re.split(r"[^a-z0-9-]", str(label))[0]


def written(value: float) -> str:
    """Return a number as people read it: whole ones whole, others to three digits.

    Example:
        >>> written(90000.0), written(434.157), written(0.0123456)
        ('90,000', '434', '0.0123')
    """
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def in_percent(share: float) -> str:
    """Return a share in percent.

    Example:
        >>> in_percent(0.2178).split(), in_percent(0.9998).split()
        (['21.8', '%'], ['99.98', '%'])
    """
    text = f"{100 * share:.2f}" if share > 0.5 else f"{100 * share:.3g}"
    return f"{text}\u00a0%"  # kept together when lines are wrapped
