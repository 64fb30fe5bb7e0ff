"""The outcome of a study: what was found, the verdicts, and the folder in which they are kept."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy
import pandas
import torch

from surplus.base import Cell, InvalidArgument, Table, cite, encode
from surplus.store import check_folder, write_document
from surplus.store.files import sweep_dead, write_whole
from surplus.studies.claim import Claim, Scale
from surplus.studies.evidence import Evidence
from surplus.studies.found import Found
from surplus.studies.grid import Grid
from surplus.studies.plotting import image_bytes
from surplus.studies.study import Study
from surplus.studies.summary import markdown
from surplus.training import environment
from surplus.viewer import render_study

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
VERSIONS = ("python", "torch", "numpy", "surplus")


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What came out of a study."""

    study: Study
    scale: Scale
    found: Found
    evidence: Mapping[Claim, Evidence]
    """The verdict on each claim, with the number on which it rests."""
    runs: tuple[str, ...]
    """The names of the runs that it rests on."""
    references: str
    """The papers behind everything that was used, as BibTeX."""

    @classmethod
    def of(cls, grid: Grid, found: Found) -> "Outcome":
        """Return the outcome of a study whose runs and computations are all there."""
        study = grid.study
        return cls(
            study=study,
            scale=found.scale,
            found=found,
            evidence=study.evidence(found),
            runs=tuple(grid.specs()),
            references=cite_study(grid),
        )

    def claims(self) -> Table:
        """Return the ledger's rows: one for each claim."""
        return Table.from_rows([self._row(*each) for each in self.evidence.items()])

    def write(self, folder: Path) -> Path:
        """Write all into a folder of the study's name, and return that one; the same results give the same bytes.

        - `README.md` and `index.html`: question, protocol, claims, figures and tables, to read;
        - `claims.csv`, the tables of the study, and in `found/` those of its methods, whole;
        - figures as SVG and PDF; `references.bib`; `study.json`: settings, runs, versions.

        Raises:
            InvalidArgument: the study's tables or figures are not what they should be.
            StorageFailure: the disk is full or the folder cannot be written.
        """
        into = folder / self.study.kind
        tables = {
            name: table_of_frame(each) for name, each in self.study.tables(self.found).items()
        }
        figures = {
            name: {kind: image_bytes(figure, kind) for kind in ("svg", "pdf")}
            for name, figure in self.study.figures(self.found).items()
        }
        _check_names(tables, figures)
        sweep_dead(into, into / "found")
        write_document(into / "study.json", self._record())  # first: it tells whose folder this is
        write_whole(into / "claims.csv", self.claims().to_csv().encode())
        for name, table in tables.items():
            write_whole(into / f"{name}.csv", table.to_csv().encode())
        for name in self.found.names():
            text = table_of_frame(self.found[name]).to_csv()
            write_whole(into / "found" / f"{name.replace('/', '-')}.csv", text.encode())
        for name, images in figures.items():
            for kind, data in images.items():
                write_whole(into / f"{name}.{kind}", data)
        write_whole(into / "references.bib", f"{self.references}\n".encode())
        write_whole(into / "README.md", markdown(self, tables, list(figures)).encode())
        drawn = {name: images["svg"] for name, images in figures.items()}
        write_whole(into / "index.html", render_study(self.about(), tables, drawn).encode())
        return into

    def about(self) -> dict[str, object]:
        """Return what a page says of the study, as plain data."""
        return {
            "name": self.study.kind,
            "question": self.study.question,
            "protocol": self.study.protocol(),
            "scale": self.scale,
            "settings": self.study.settings(),
            "num_runs": len(self.runs),
            "claims": [
                {**self._row(claim, evidence), "number": evidence.number(), "method": claim.method}
                for claim, evidence in self.evidence.items()
            ],
        }

    def _row(self, claim: Claim, evidence: Evidence) -> dict[str, Cell]:
        return {
            "study": self.study.kind,
            "claim": claim.name,
            "sentence": claim.sentence,
            "source": claim.source,
            "place": claim.place,
            "theory": claim.theory,
            "verdict": evidence.verdict,
            "reason": evidence.reason,
            "what": evidence.what,
            "estimate": evidence.estimate,
            "lower": evidence.lower,
            "upper": evidence.upper,
            "n": evidence.n,
            "scale": self.scale,
        }

    def _record(self) -> dict[str, object]:
        return {
            "study": encode(self.study),
            "scale": self.scale,
            "runs": list(self.runs),
            "versions": {
                name: value
                for name, value in environment(torch.device("cpu")).items()
                if name in VERSIONS
            },
        }


def check_out(into: Path) -> None:
    """Find out early whether an outcome can be written to a folder.

    Raises:
        StorageFailure: the folder cannot be made or written.
        InvalidArgument: it holds something else.
    """
    check_folder(into)
    if into.is_dir() and not (into / "study.json").exists():
        others = [each.name for each in into.iterdir() if not each.name.startswith(".")]
        if others:
            raise InvalidArgument(
                f"{into} holds something else ({others[0]}), which is not to be mixed with the outcome of a study."
                " Name another folder."
            )


def cite_study(grid: Grid) -> str:
    """Return the papers behind exactly what a study uses, as BibTeX."""
    sources = [each.source for each in grid.study.claims() if each.source != "own"]
    used = [part for arm in grid.arms for part in (arm.spec, *arm.methods)]
    return cite([grid.study, *sources, *used])


def table_of_frame(frame: pandas.DataFrame) -> Table:
    """Return a frame as a table; what is missing becomes None, and an index with names becomes columns.

    Raises:
        InvalidArgument: it is no frame, or two of its columns have one name.
    """
    if not isinstance(frame, pandas.DataFrame):
        raise InvalidArgument(
            f"A table of a study is a {type(frame).__name__}; it has to be a pandas.DataFrame."
        )
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    names = [_flat(name) for name in frame.columns]
    if len(set(names)) < len(names):
        raise InvalidArgument(f"Columns of a table have one name: {', '.join(names)}.")
    columns = (frame.iloc[:, place].tolist() for place in range(len(names)))
    return Table(
        {name: list(map(_cell, cells)) for name, cells in zip(names, columns, strict=True)}
    )


def _flat(name: object) -> str:
    """Return the name of a column; aggregation gives names of several parts."""
    return " ".join(filter(None, map(str, name))) if isinstance(name, tuple) else str(name)


def _cell(value: Any) -> Cell:
    if isinstance(value, numpy.generic):
        value = value.item()
    if isinstance(value, list | tuple | dict | set | numpy.ndarray):
        return str(value)
    if pandas.isna(value):
        return None
    return value if isinstance(value, str | int | float) else str(value)


def _check_names(tables: Mapping[str, Table], figures: Mapping[str, object]) -> None:
    for name in (*tables, *figures):
        if not NAME.fullmatch(name):
            raise InvalidArgument(
                f"`{name}` cannot name a table or figure: use small letters, digits and hyphens."
            )
    if "claims" in tables:
        raise InvalidArgument("A table cannot be called `claims`: that is the table of the claims.")
