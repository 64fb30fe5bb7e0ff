"""`study`: train and compute what is missing, test the claims, and write what was found."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pandas

from surplus.base import Cell, InvalidArgument, SurplusError, Table, encode, label
from surplus.methods import Context, Method
from surplus.store import Failure
from surplus.studies.claim import SCALES, Scale
from surplus.studies.found import Found
from surplus.studies.grid import Grid, Replica
from surplus.studies.launcher import WORKER, Launcher
from surplus.studies.launchers.local import Local
from surplus.studies.loading import Module, find_study, needed_modules
from surplus.studies.outcome import Outcome, check_out, cite_study
from surplus.studies.remaining import remaining
from surplus.studies.study import Study
from surplus.training import progress


class StudyIncomplete(SurplusError):
    """A study of which some runs or computations failed."""


def study(
    what: str | Study,
    scale: Scale = "default",
    *,
    seeds: int | None = None,
    out: Path | str | None = None,
    context: Context | None = None,
    launcher: Launcher | None = None,
) -> Outcome:
    """Conduct a study and return what was found, with a verdict on each claim.

    Runs and computations that are there already, whoever asked for them, are not made again; so the same call goes on
    where it was interrupted, and gives the same results byte for byte.

    Args:
        what: The name of a study, a Python file or "module:Class" that defines one, or a study itself.
        scale: "smoke" (one to two minutes), "default" (within ten on two cores) or "full" (the published scale).
        seeds: How many replicas each arm has; None takes what belongs to the scale.
        out: The folder to write claims, tables, figures and a page to; None writes nothing.
        context: Where to work; None keeps runs in `./runs`.
        launcher: Where the work is done; None does it in this process.

    Raises:
        UnknownName: no study goes by that name.
        InvalidArgument: an argument does not fit, or an arm cannot be trained.
        DataMissing: a task's files are not where they were looked for.
        StudyIncomplete: a run or computation failed; the others were brought to their end.
        StorageFailure: the disk is full or `out` cannot be written; the same call goes on from there.
        KeyboardInterrupt: Ctrl-C was pressed; the same call goes on from there.
    """
    if WORKER in os.environ:
        raise InvalidArgument(
            'This file conducts a study while a worker imports it; put that below `if __name__ == "__main__":`.'
        )
    if scale not in SCALES:
        raise InvalidArgument(f'`scale` is {scale!r}; it is "smoke", "default" or "full".')
    asked = what if isinstance(what, Study) else find_study(what).at_scale(scale)
    if seeds is not None:
        asked = asked.with_seeds(seeds)
    context = context or Context()
    grid = Grid(asked, context)
    cite_study(grid)  # a source that the bibliography lacks is an error before anything is begun
    if out is not None:
        check_out(Path(out) / asked.kind)
        encode(asked)  # what cannot be written down is an error now and not in the end
    _do(grid, launcher or Local(), context, needed_modules(grid))
    outcome = Outcome.of(grid, collected(grid, scale))
    if out is not None:
        outcome.write(Path(out))
    return outcome


def collected(grid: Grid, scale: Scale) -> Found:
    """Return what the methods of a study found, in the order of its arms, replicas and rows.

    Raises:
        StudyIncomplete: results are not there any more, or damaged.
        InvalidArgument: a label is also a column of a table.
    """
    rows: dict[str, list[dict[str, Cell]]] = {}
    columns: dict[str, dict[str, None]] = {}
    for replica, method, front in _asked(grid):
        known = method.known(replica.run)
        if known is None:
            raise StudyIncomplete(
                f"What {method.kind} found in {replica.run.name} is missing or damaged; the same command makes it anew."
            )
        for name, table in known.tables.items():
            full = f"{method.kind}/{name}"
            _check_front(front, table, full)
            columns.setdefault(full, {}).update(dict.fromkeys([*front, *table.columns]))
            rows.setdefault(full, []).extend({**front, **row} for row in table.rows())
    frames = {
        name: pandas.DataFrame({each: [row.get(each) for row in rows[name]] for each in heads})
        for name, heads in columns.items()
    }
    return Found(frames, scale)


def _asked(grid: Grid) -> Iterator[tuple[Replica, Method, dict[str, Cell]]]:
    """Yield every method of every replica with what stands in front of its rows.

    Where an arm has several methods of one kind, the column `method` says which.
    """
    several = {
        method.kind
        for arm in grid.arms
        for method in arm.methods
        if any(each.kind == method.kind and each != method for each in arm.methods)
    }
    for replica in grid.replicas:
        for method in dict.fromkeys(replica.arm.methods):
            which = {"method": label(method)} if method.kind in several else {}
            yield replica, method, {**replica.labelled(), **which}


def _check_front(front: Mapping[str, Cell], table: Table, name: str) -> None:
    for each in front:
        if each in table.columns:
            raise InvalidArgument(
                f"The label `{each}` is also a column of the table `{name}`: call the label something else."
                " What was trained and computed stays as it is."
            )


def _do(grid: Grid, launcher: Launcher, context: Context, modules: list[Module]) -> None:
    """Do what is missing, with one bar over all of it.

    Raises: as `study`.
    """
    waves = remaining(grid, launcher.num_workers)
    if not waves:
        return
    _check_data(grid, context)
    total = sum(map(len, waves))
    with progress(grid.study.kind, total, "jobs", context.progress) as bar:
        failures = launcher.launch(waves, replace(context, progress=False), modules, bar.update)
    if failures:
        raise StudyIncomplete(_told(failures, total))


def _check_data(grid: Grid, context: Context) -> None:
    """Find out before anything is begun whether all data are there, and fetch them once where that is allowed."""
    once = replace(context, _loaded={})
    for task in {arm.spec.task: None for arm in grid.arms}:
        once.parts(task)


def _told(failures: list[Failure], total: int) -> str:
    first = failures[0]
    return (
        f"{len(failures)} of {total} pieces of work failed, the first of them {first.title}: {first.message.strip()}\n"
        "What was done is kept: once the cause is mended, the same command goes on from there."
    )
