"""`write_report`: everything known about a run in one HTML file."""

from pathlib import Path

from surplus.base import CorruptFile, members
from surplus.store import Run
from surplus.store.files import write_whole
from surplus.viewer.page import render
from surplus.viewer.views.view import View


def write_report(run: Run, path: Path | str) -> None:
    """Write a self-contained report of a run, from what lies in its folder.

    Views for which nothing was computed are left out of the page; damaged files are named on it.

    Raises:
        CorruptFile: the run's spec or environment is missing, truncated or edited.
        StorageFailure: the file cannot be written.
    """
    views = {}
    for kind, view in members(View).items():
        try:
            data = view().data(run)
        except (CorruptFile, KeyError, AssertionError) as damaged:
            if kind == "summary":
                raise
            data = {"damaged": str(damaged)}
        if data is not None:
            views[kind] = data
    summary = views["summary"]
    title = f"{summary['spec']['net']['kind']} on {summary['spec']['task']['kind']}"
    write_whole(Path(path), render(title, {"views": views}).encode())
