"""Measuring a model: from what the measures need to a table of what they find."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from torch import Tensor, nn

from surplus.base import Cell, InvalidArgument, Parts, Table, label
from surplus.masks import Mask
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.needs import OF_DRAWN
from surplus.measures.observed import History, Observed
from surplus.measures.untreated import NO_SPECTRUM, LinAlgError, Untreated, untreated
from surplus.passes import Data
from surplus.units import Units

COLUMNS = tuple(field.name for field in fields(Finding))


def observed(
    model: nn.Module,
    units: Units,
    by: Sequence[Measure],
    data: Data | None = None,
    *,
    layers: Sequence[str] | None = None,
    parts: Parts | None = None,
    part: str | None = None,
    initial: Mapping[str, Tensor] | None = None,
    mask: Mask | None = None,
    history: History | None = None,
    other: Observed | None = None,
    seed: int = 0,
    positions: int | None = 64,
) -> Observed:
    """Return what the measures may look at; nothing runs before one of them looks.

    Raises:
        UnknownName: a layer that the model does not have.
    """
    computed = [group.name for group in units if group.incoming]
    return Observed(
        model=model,
        units=units,
        names=tuple(computed if layers is None else (units[name].name for name in layers)),
        needs=frozenset(need for measure in by for need in measure.needs),
        data=data,
        parts=parts,
        part=part,
        initial=initial,
        mask=mask,
        history=history,
        other=other,
        seed=seed,
        positions=positions,
    )


def findings(seen: Observed, by: Sequence[Measure]) -> list[tuple[Measure, Finding]]:
    """Ask every measure; one that cannot treat the network at all is named with the reason."""
    found: list[tuple[Measure, Finding]] = []
    for measure in by:
        try:
            # One by one, so that what was found before a measure gives up is kept.
            for finding in measure.measure(seen):
                found.append((measure, _seeded(measure, _finite(finding), seen.seed)))
        except Untreated as reason:
            found.append((measure, untreated(str(reason))))
        except LinAlgError:
            found.append((measure, untreated(NO_SPECTRUM)))
    return found


def _seeded(measure: Measure, finding: Finding, seed: int) -> Finding:
    """Return a finding with the seed of the examples that it rests on."""
    if finding.n is None or finding.seed is not None or not OF_DRAWN.intersection(measure.needs):
        return finding
    return replace(finding, seed=seed)


def _finite(finding: Finding) -> Finding:
    """Return a finding whose number is none if it was NaN or infinite, with the reason."""
    value = finding.value
    if value is not None and not math.isfinite(value):
        note = f"it is {value}: weights, start or data hold NaN, infinities or numbers too large"
        return replace(finding, value=None, lower=None, upper=None, note=note)
    ends = (finding.lower, finding.upper)
    if all(end is None or math.isfinite(end) for end in ends):
        return finding
    lower, upper = (None if end is None or not math.isfinite(end) else end for end in ends)
    return replace(finding, lower=lower, upper=upper)


def table_of(found: Sequence[tuple[Measure, Finding]], **same: Cell) -> Table:
    """Return findings as a tidy table, one row each; `same` are further columns, equal in every row."""
    rows: list[dict[str, Cell]] = [
        {**same, "measure": label(measure), **asdict(finding)} for measure, finding in found
    ]
    if not rows:
        return Table({name: [] for name in (*same, "measure", *COLUMNS)})
    return Table.from_rows(rows)


def check_measures(by: Any) -> tuple[Measure, ...]:
    """Return the measures asked for.

    Raises:
        InvalidArgument: something is no measure, or one of them is named twice.
    """
    chosen = tuple(by) if isinstance(by, list | tuple) else (by,)
    for each in chosen:
        if not isinstance(each, Measure):
            # Data are long: only what names something is shown whole.
            given = repr(each) if isinstance(each, str | type) else f"a {type(each).__name__}"
            raise InvalidArgument(
                f"`by` holds {given}; it takes measures, such as `surplus.measures.DeadUnits()`."
            )
    labels = [label(each) for each in chosen]
    if len(set(labels)) < len(labels):
        raise InvalidArgument(f"`by` names a measure twice: {', '.join(labels)}.")
    return chosen
