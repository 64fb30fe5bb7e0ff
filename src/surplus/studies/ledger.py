"""The ledger: every claim of every study, with the verdict where the study was conducted."""

from pathlib import Path

from surplus.base import Cell, Table, members
from surplus.studies import questions as _questions  # noqa: F401 - enters the studies into their register
from surplus.studies.study import Study
from surplus.studies.summary import markdown_table

COLUMNS = (
    "study", "claim", "sentence", "source", "place", "verdict", "reason", "what", "estimate", "lower", "upper", "n",
    "scale",
)  # fmt: skip
NOT_CONDUCTED = "not conducted"


def ledger(folder: Path) -> Table:
    """Return all claims: those of studies whose outcome lies in a folder with what was found, the others without.

    Studies that are defined elsewhere are in it too, if their outcome lies there.

    Args:
        folder: Where `study` wrote, a folder of each study's name.
    """
    rows: list[dict[str, Cell]] = []
    conducted = {path.parent.name: path for path in sorted(folder.glob("*/claims.csv"))}
    for kind, study in members(Study).items():
        path = conducted.pop(kind, None)
        rows += _claimed(kind, study) if path is None else _read(path)
    for path in conducted.values():
        rows += _read(path)
    return Table({name: [row.get(name) for row in rows] for name in COLUMNS})


def ledger_page(table: Table) -> str:
    """Return the ledger as Markdown: a line for each claim, below its study."""
    verdicts = [row["verdict"] for row in table.rows()]
    counted = ", ".join(
        f"{verdicts.count(each)} {each}"
        for each in ("holds", "fails", "undecided", NOT_CONDUCTED)
        if each in verdicts
    )
    rows = [
        {
            "study": row["study"],
            "claim": row["sentence"],
            "source": ", ".join(filter(None, (str(row["source"] or ""), str(row["place"] or "")))),
            "verdict": f"**{row['verdict']}**" + (f" ({row['reason']})" if row["reason"] else ""),
            "number": _number(row),
        }
        for row in table.rows()
    ]
    lines = markdown_table(["study", "claim", "source", "verdict", "number"], rows)
    return "\n".join([f"{len(table)} claims: {counted}.", "", *lines]) + "\n"


def _read(path: Path) -> list[dict[str, Cell]]:
    return list(Table.from_csv(path.read_text(encoding="utf-8")).rows())


def _claimed(kind: str, study: type[Study]) -> list[dict[str, Cell]]:
    return [
        {
            "study": kind,
            "claim": each.name,
            "sentence": each.sentence,
            "source": each.source,
            "place": each.place,
            "verdict": NOT_CONDUCTED,
        }
        for each in study.claims()
    ]


def _number(row: dict[str, Cell]) -> str:
    if row["estimate"] is None:
        return str(row["what"] or "")
    interval = "" if row["lower"] is None else f", {row['lower']:.3g} to {row['upper']:.3g}"
    return f"{row['what']}: {row['estimate']:.3g} (n = {row['n']}{interval}; {row['scale']})"
