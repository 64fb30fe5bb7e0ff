"""The SQLite index over all runs: derived from the folders, disposable, rebuilt by one command."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from surplus.base import CorruptFile
from surplus.store.files import storage_failure
from surplus.store.run import Run

COLUMNS = "name, stamp, state, step, num_bytes, net, task, seed, metrics"


class Summary(NamedTuple):
    """What the list of runs shows of one run."""

    name: str
    state: str
    step: int
    num_bytes: int
    net: str
    task: str
    seed: int
    metrics: dict[str, float]
    """The last evaluation: losses and accuracies by part."""


def summarise(run: Run) -> Summary:
    """Read a run's folder; what cannot be read makes the state "damaged"."""
    try:
        spec = run.spec()["spec"]
        state, step = run.status()
        net, task = spec["net"]["kind"], spec["task"]["kind"]
    except (CorruptFile, KeyError, TypeError):
        return Summary(run.name, "damaged", 0, run.num_bytes(), "", "", run.seed, {})
    evaluations = run.series("evaluation")
    metrics = evaluations[-1].values if evaluations else {}
    return Summary(run.name, state, step, run.num_bytes(), net, task, run.seed, metrics)


def refresh(root: Path, runs: list[Run]) -> list[Summary]:
    """Bring the index up to date with the folders and return its rows.

    A run's row is read again when its log or its seal has changed. An index that cannot be read or written costs
    speed, never a result.
    """
    try:
        with closing(_open(root / "index.sqlite")) as index, index:
            return _refresh(index, runs)
    except (sqlite3.Error, OSError):
        return [summarise(run) for run in runs]


def rebuild(root: Path, runs: list[Run]) -> list[Summary]:
    """Make the index again from nothing but the folders."""
    try:
        (root / "index.sqlite").unlink(missing_ok=True)
    except OSError as failed:
        raise storage_failure(root / "index.sqlite", failed) from failed
    return refresh(root, runs)


def _open(path: Path) -> sqlite3.Connection:
    index = sqlite3.connect(path)
    try:
        index.execute(f"create table if not exists runs ({COLUMNS}, primary key (name))")
        index.execute(f"select {COLUMNS} from runs limit 1")
    except sqlite3.OperationalError:
        index.close()
        raise
    except sqlite3.DatabaseError:  # not an index any more: it is only derived, so begin anew
        index.close()
        path.unlink()
        index = sqlite3.connect(path)
        index.execute(f"create table runs ({COLUMNS}, primary key (name))")
    return index


def _refresh(index: sqlite3.Connection, runs: list[Run]) -> list[Summary]:
    known: dict[str, tuple[Any, ...]] = {
        row[0]: row for row in index.execute(f"select {COLUMNS} from runs")
    }
    summaries = []
    for run in runs:
        stamp = _stamp(run)
        row = known.pop(run.name, None)
        if row is not None and row[1] == stamp and row[2] in ("complete", "diverged"):
            summaries.append(Summary._make((row[0], *row[2:8], json.loads(row[8]))))
            continue
        summary = summarise(run)
        values = (summary.name, stamp, *summary[1:7], json.dumps(summary.metrics))
        index.execute(f"insert or replace into runs ({COLUMNS}) values (?,?,?,?,?,?,?,?,?)", values)
        summaries.append(summary)
    index.executemany("delete from runs where name = ?", [(name,) for name in known])
    return summaries


def _stamp(run: Run) -> str:
    stamps = []
    for name in ("events.jsonl", "status.json", "spec.json"):
        try:
            found = (run.path / name).stat()
            stamps.append(f"{found.st_mtime_ns}:{found.st_size}")
        except OSError:
            stamps.append("absent")
    return " ".join(stamps)
