"""`surplus runs`: list, show, delete, rebuild the index."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import tyro

from surplus.base import Cell, Table
from surplus.cli.folders import readable_bytes, runs_folder
from surplus.cli.parsing import parse
from surplus.store import Run, Store, Summary


@final
@dataclass
class Arguments:
    """List the runs, or show one of them.

    A run is named by its folder, by the start of its fingerprint (with /SEED where there are several replicas), or by
    the word `last`.
    """

    run: tyro.conf.Positional[str | None] = None
    """The run to show; none lists all."""
    delete: str | None = None
    """Delete this run's folder for good."""
    rebuild: tyro.conf.FlagCreatePairsOff[bool] = False
    """Make the index again from the folders."""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print JSON, for machines."""
    runs: Path = field(default_factory=runs_folder)
    """The folder of runs; the default is $SURPLUS_RUNS, else ./runs."""


def run(words: Sequence[str]) -> int:
    """Run the subcommand."""
    arguments = parse(Arguments, words, "runs")
    store = Store(arguments.runs)
    if arguments.delete is not None:
        doomed = store.find(arguments.delete)
        size = readable_bytes(doomed.num_bytes())
        store.delete(doomed)
        print(f"Deleted {doomed.name} ({size}).")
        return 0
    if arguments.run is not None:
        return _show(store.find(arguments.run), as_json=arguments.json)
    summaries = store.rebuild() if arguments.rebuild else store.summaries()
    if arguments.json:
        print(json.dumps([summary._asdict() for summary in summaries], indent=1))
    elif not summaries:
        print(f"There are no runs in {store.root}. `surplus train` makes one.")
    else:
        print(_table(summaries))
        print(
            f"\n{len(summaries)} runs, {readable_bytes(sum(each.num_bytes for each in summaries))}."
        )
    return 0


def _table(summaries: list[Summary]) -> Table:
    rows: list[dict[str, Cell]] = []
    for each in summaries:
        row: dict[str, Cell] = {
            "run": each.name,
            "net": each.net,
            "task": each.task,
            "state": each.state,
            "step": each.step,
        }
        for part in ("validation", "test"):
            accuracy = each.metrics.get(f"{part}_accuracy")
            row[f"{part} [%]"] = None if accuracy is None else round(100 * accuracy, 2)
        row["disk"] = readable_bytes(each.num_bytes)
        rows.append(row)
    return Table.from_rows(rows)


def _show(run: Run, *, as_json: bool) -> int:
    state, step = run.status()
    problems = run.problems()
    evaluations = run.series("evaluation")
    about = {
        "run": run.name,
        "folder": str(run.path),
        "state": state,
        "step": step,
        "environment_changes": [
            {"step": event.step, **event.values["changed"]} for event in run.series("environment")
        ],
        "last_evaluation": evaluations[-1].values if evaluations else {},
        "num_snapshots": len(run.snapshots()),
        "derived": sorted(path.name for path in (run.path / "derived").glob("[!.]*")),
        "num_bytes": run.num_bytes(),
        "problems": problems,
    }
    if not any("spec.json" in problem for problem in problems):
        about["spec"] = run.spec()["spec"]
    if not any("environment.json" in problem for problem in problems):
        about["environment"] = run.environment()
    if as_json:
        print(json.dumps(about, indent=1))
    else:
        for key, value in about.items():
            shown = json.dumps(value, indent=1) if isinstance(value, dict) and value else value
            print(f"{key.replace('_', ' ')}: {_listed(shown)}")
    return 1 if problems else 0


def _listed(value: object) -> object:
    if isinstance(value, list):
        return "none" if not value else "\n" + "\n".join(f"  - {item}" for item in value)
    return value
