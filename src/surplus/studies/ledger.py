"""The ledger: every claim of every study, with the verdict where the study was conducted."""

import warnings
from collections.abc import Mapping
from pathlib import Path

from surplus.base import Cell, CorruptFile, InvalidArgument, Table, members
from surplus.store.files import write_whole
from surplus.studies import questions as _questions  # noqa: F401 - enters the studies into their register
from surplus.studies.claim import THEORIES
from surplus.studies.study import Study
from surplus.studies.summary import markdown_table

COLUMNS = (
    "study",
    "claim",
    "sentence",
    "source",
    "place",
    "theory",
    "verdict",
    "reason",
    "what",
    "estimate",
    "lower",
    "upper",
    "n",
    "scale",
)
TITLE = "# The ledger of claims"
NOT_CONDUCTED = "not conducted"


def ledger(folder: Path) -> Table:
    """Return all claims: those of studies whose outcome lies in a folder with what was found, the others without.

    Studies that are defined elsewhere are in it too, if their outcome lies there.

    Args:
        folder: Where `study` wrote, a folder of each study's name.

    Raises:
        CorruptFile: a `claims.csv` there is damaged.
    """
    rows: list[dict[str, Cell]] = []
    conducted = {path.parent.name: path for path in sorted(folder.glob("*/claims.csv"))}
    for kind, study in members(Study).items():
        path = conducted.pop(kind, None)
        found = {} if path is None else {str(row["claim"]): row for row in _read(path)}
        rows += [found.get(str(row["claim"]), row) for row in _claimed(kind, study)]
    for path in conducted.values():
        rows += _read(path)
    return Table({name: [row.get(name) for row in rows] for name in COLUMNS})


def write_ledger(folder: Path) -> Table:
    """Write ledger (`README.md`) and synthesis (`synthesis.md`) of the outcomes in a folder; return the ledger.

    A `README.md` there that is no ledger is somebody's: it is left alone, and the ledger is called `ledger.md`.

    Raises:
        CorruptFile: a `claims.csv` there is damaged.
        StorageFailure: the disk is full or the folder cannot be written.
    """
    table = ledger(folder)
    page = folder / "README.md"
    if page.exists() and not page.read_text(errors="replace").startswith(TITLE):
        page = folder / "ledger.md"
        warnings.warn(f"README.md is not a ledger and is left alone: see {page}.", stacklevel=2)
    write_whole(page, f"{TITLE}\n\n{ledger_page(table)}".encode())
    head = (
        "# Where does redundancy come from?\n\nEach theory below predicts something that the others do not."
        " The study `synthesis` measures one prediction of each on the same networks.\n\n"
    )
    write_whole(folder / "synthesis.md", f"{head}{synthesis_page(table)}".encode())
    return table


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
            "verdict": _verdict(row),
            "number": _number(row),
        }
        for row in table.rows()
    ]
    lines = markdown_table(["study", "claim", "source", "verdict", "number"], rows)
    return "\n".join([f"{len(table)} claims: {counted}.", "", *lines]) + "\n"


def synthesis_page(table: Table) -> str:
    """Return the claims that tell theories apart as Markdown: theory, prediction, verdict."""
    lines = []
    for theory, sentence in THEORIES.items():
        rows = [
            {
                "prediction": row["sentence"],
                "study": row["study"],
                "verdict": _verdict(row),
                "number": _number(row),
            }
            for row in table.where(theory=theory).rows()
        ]
        lines += [f"## {theory.capitalize()}: {sentence}", ""]
        lines += markdown_table(["prediction", "study", "verdict", "number"], rows) if rows else []
        lines += ["" if rows else "No claim tests it yet.\n"]
    return "\n".join(lines)


def _verdict(row: Mapping[str, Cell]) -> str:
    return f"**{row['verdict']}**" + (f" ({row['reason']})" if row["reason"] else "")


def _read(path: Path) -> list[dict[str, Cell]]:
    try:
        table = Table.from_csv(path.read_text(encoding="utf-8"))
    except (InvalidArgument, OSError, ValueError, IndexError) as broken:
        raise CorruptFile(f"{path} is damaged: {broken} Conduct the study again.") from broken
    if len(table) and not {"study", "claim", "sentence", "verdict"} <= set(table.columns):
        raise CorruptFile(
            f"{path} is damaged, or no table of claims: its columns are {', '.join(table.columns)}."
            " Conduct the study again."
        )
    return list(table.rows())


def _claimed(kind: str, study: type[Study]) -> list[dict[str, Cell]]:
    return [
        {
            "study": kind,
            "claim": each.name,
            "sentence": each.sentence,
            "source": each.source,
            "place": each.place,
            "theory": each.theory,
            "verdict": NOT_CONDUCTED,
        }
        for each in study.claims()
    ]


def _number(row: Mapping[str, Cell]) -> str:
    if row["estimate"] is None:
        return str(row["what"] or "")
    interval = "" if row["lower"] is None else f", {row['lower']:.3g} to {row['upper']:.3g}"
    return f"{row['what']}: {row['estimate']:.3g} (n = {row['n']}{interval}; {row['scale']})"
