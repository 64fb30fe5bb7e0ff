"""`surplus cite`: the papers behind a thing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import tyro

from surplus.base import (
    Family,
    Intervention,
    InvalidArgument,
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
    """Print, as BibTeX, the papers behind a criterion, network, data set, method, study or run.

    NAME is a name as `surplus train` and `surplus prune` take it, a key of the bibliography, a study, or a run. A run
    gives every paper behind its spec; a study those behind everything that it uses at its default scale.
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
    if name.endswith(".py") or ":" in name:
        return _of_study(name)
    try:
        return cite(spec_of(Store(runs).find(name)))
    except UnknownName:
        pass
    studies = _studies()
    if name in studies:
        return _of_study(name)
    raise unknown_name(
        "criterion, network, data set, method, study, reference or run", name, known | studies
    )


def _studies() -> dict[str, type[Family]]:
    """Return the studies by name; none where the extra `analysis` is missing, without which they cannot be imported."""
    try:
        from surplus.studies import Study
        from surplus.studies import questions as _questions  # noqa: F401 - enters them into their register
    except InvalidArgument:
        return {}
    return dict(members(Study))


def _of_study(name: str) -> str:
    from surplus.methods import Context
    from surplus.studies.grid import Grid
    from surplus.studies.loading import find_study
    from surplus.studies.outcome import cite_study

    return cite_study(Grid(find_study(name).at_scale("default"), Context()))
