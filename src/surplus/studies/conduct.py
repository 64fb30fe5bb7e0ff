"""`study`: train and compute what is missing, test the claims, and write what was found."""

from dataclasses import replace
from pathlib import Path

import pandas

from surplus.base import Cell, InvalidArgument, SurplusError, Table
from surplus.methods import Context
from surplus.store import Failure
from surplus.studies.claim import SCALES, Scale
from surplus.studies.found import Found
from surplus.studies.grid import Grid
from surplus.studies.launcher import Launcher
from surplus.studies.launchers.local import Local
from surplus.studies.loading import find_study
from surplus.studies.outcome import Outcome
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
        StorageFailure: the disk is full; the same call goes on from there.
        KeyboardInterrupt: Ctrl-C was pressed; the same call goes on from there.
    """
    if scale not in SCALES:
        raise InvalidArgument(f'`scale` is {scale!r}; it is "smoke", "default" or "full".')
    asked = what if isinstance(what, Study) else find_study(what).at_scale(scale)
    if seeds is not None:
        asked = asked.with_seeds(seeds)
    files = [what] if isinstance(what, str) and what.endswith(".py") else []
    grid = Grid(asked, context or Context())
    _do(grid, launcher or Local(), context or Context(), files)
    outcome = Outcome.of(grid, collected(grid, scale))
    if out is not None:
        outcome.write(Path(out))
    return outcome


def collected(grid: Grid, scale: Scale) -> Found:
    """Return what the methods of a study found, in the order of its arms, replicas and rows."""
    rows: dict[str, list[dict[str, Cell]]] = {}
    for replica in grid.replicas:
        front = replica.labelled()
        for method in replica.arm.methods:
            known = method.known(replica.run)
            assert known is not None
            for name, table in known.tables.items():
                rows.setdefault(f"{method.kind}/{name}", []).extend(
                    {**front, **row} for row in table.rows()
                )
    frames = {name: pandas.DataFrame(Table.from_rows(each).columns) for name, each in rows.items()}
    return Found(frames, scale)


def _do(grid: Grid, launcher: Launcher, context: Context, files: list[str]) -> None:
    """Do what is missing, with one bar over all of it.

    Raises: as `study`.
    """
    waves = remaining(grid, launcher.num_workers)
    if not waves:
        return
    _check_data(grid, context)
    total = sum(map(len, waves))
    with progress(grid.study.kind, total, "jobs", context.progress) as bar:
        failures = launcher.launch(waves, replace(context, progress=False), files, bar.update)
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
