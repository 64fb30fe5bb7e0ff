"""A study in Markdown: question, protocol, claims, figures, tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from surplus.base import Cell, Table

if TYPE_CHECKING:
    from surplus.studies.outcome import Outcome

ROWS = 60  # longer tables are in the CSV file only


def markdown(outcome: "Outcome", tables: Mapping[str, Table], figures: Sequence[str]) -> str:
    """Return the page as Markdown, with figures as links to the SVG files beside it."""
    about = outcome.about()
    claims: Any = about["claims"]
    settings: Any = about["settings"]
    lines = [f"# {about['name']}", "", f"*{about['question']}*", "", str(about["protocol"]), ""]
    lines += [f"Scale: **{about['scale']}** ({about['num_runs']} runs; {_listed(settings)}).", ""]
    lines += ["## Claims", ""]
    for each in claims:
        source = "own" if each["source"] == "own" else f"{each['source']}"
        place = f", {each['place']}" if each["place"] else ""
        reason = f" ({each['reason']})" if each["reason"] else ""
        lines += [
            f"- **{each['verdict']}**{reason}: {each['sentence']} [{source}{place}]  ",
            f"  {each['number']}. Tested by: {each['method']}",
        ]
    for name in figures:
        lines += ["", f"## {name}", "", f"![{name}]({name}.svg)"]
    for name, table in tables.items():
        lines += ["", f"## {name}", ""]
        if len(table) > ROWS:
            lines.append(f"{len(table):,} rows, in [{name}.csv]({name}.csv).")
        else:
            lines += markdown_table(list(table.columns), table.rows())
    return "\n".join(lines) + "\n"


def markdown_table(names: Sequence[str], rows: Iterable[Mapping[str, Cell]]) -> list[str]:
    """Return the lines of a table."""
    heads = " | ".join(map(_shown, names))
    lines = [f"| {heads} |", "|" + "---|" * len(names)]
    for row in rows:
        cells = [_shown(row[name]) for name in names]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _listed(settings: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {value}" for name, value in settings.items())


def _shown(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return " ".join(str(cell).replace("|", "\\|").split())
