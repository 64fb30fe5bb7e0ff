"""`surplus report`: a run in one HTML file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import tyro

from surplus.cli.folders import runs_folder
from surplus.cli.parsing import parse
from surplus.store import Run, Store
from surplus.viewer import write_report


@final
@dataclass
class Arguments:
    """Write all that is known about a run into one HTML file that opens offline.

    The report shows what lies beside the run: ablations and cuts (`surplus prune`), and the weight geometry over
    training, which is computed here if it is missing.
    """

    run: tyro.conf.Positional[str] = "last"
    """The run: its folder, the start of its fingerprint, or `last`."""
    out: Path = Path("report.html")
    """The file to write."""
    runs: Path = field(default_factory=runs_folder)
    """The folder of runs; the default is $SURPLUS_RUNS, else ./runs."""
    data: Path | None = None
    """The folder of data sets; the default is $SURPLUS_DATA, else the user's cache folder."""


def run(words: Sequence[str]) -> int:
    """Run the subcommand."""
    arguments = parse(Arguments, words, "report")
    store = Store(arguments.runs)
    chosen = store.find(arguments.run)
    if chosen.snapshots() and not chosen.current("geometry"):
        _compute_geometry(chosen, store, arguments.data)
    write_report(chosen, arguments.out)
    print(arguments.out)
    return 0


def _compute_geometry(run: Run, store: Store, data: Path | None) -> None:
    from surplus.methods import (
        Context,  # torch comes with these, and a report mostly does not need it
    )
    from surplus.methods.geometry import Geometry

    Geometry().apply(run, Context(store=store, data=data))
