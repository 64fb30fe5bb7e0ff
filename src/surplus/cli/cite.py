"""`surplus cite`: the papers behind a thing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import tyro

from surplus.base import (
    Family,
    Intervention,
    Net,
    Schedule,
    Task,
    UnknownName,
    bibliography,
    cite,
    members,
    unknown_name,
)
from surplus.cli.folders import runs_folder
from surplus.cli.parsing import parse


@final
@dataclass
class Arguments:
    """Print, as BibTeX, the papers behind a criterion, network, data set, method or run.

    NAME is a name as `surplus train` and `surplus prune` take it, a key of the bibliography, or a run; a run gives
    every paper behind its spec.
    """

    name: tyro.conf.Positional[str]
    """The name, key or run."""
    runs: Path = field(default_factory=runs_folder)
    """The folder of runs; the default is $SURPLUS_RUNS, else ./runs."""


def run(words: Sequence[str]) -> int:
    """Run the subcommand."""
    arguments = parse(Arguments, words, "cite")
    text = _found(arguments.name, arguments.runs)
    print(text or f"No paper stands behind `{arguments.name}`: it is Surplus's own.")
    return 0


def _found(name: str, runs: Path) -> str:
    if name in bibliography():
        return cite(name)
    from surplus.methods import Method, spec_of
    from surplus.scores import Score
    from surplus.store import Store
    from surplus.training import Optimizer

    families: tuple[type[Family], ...] = (
        Score,
        Net,
        Task,
        Method,
        Optimizer,
        Schedule,
        Intervention,
    )
    known = {kind: member for family in families for kind, member in members(family).items()}
    if name in known:
        return cite(known[name])
    try:
        return cite(spec_of(Store(runs).find(name)))
    except UnknownName:
        raise unknown_name(
            "criterion, network, data set, method, reference or run", name, known
        ) from None
