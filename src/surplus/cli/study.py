"""`surplus study`: conduct a study, and keep the ledger of claims."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, final

import tyro

from surplus.base import InvalidArgument, Table, members
from surplus.cli.options import Common, member, say
from surplus.cli.parsing import parse

if TYPE_CHECKING:
    from surplus.studies.claim import Scale
    from surplus.studies.outcome import Outcome


@final
@dataclass
class Arguments:
    """Conduct a study: train and compute what is missing, test its claims, write tables, figures and a page.

    The same command goes on where it was interrupted. NAME is a study of `--list`, or a Python file of your own that
    defines one, or module:Class.
    """

    name: tyro.conf.Positional[str | None] = None
    """The study."""
    smoke: tyro.conf.FlagCreatePairsOff[bool] = False
    """At the smallest scale, to see it work: one to two minutes, and no verdicts."""
    full: tyro.conf.FlagCreatePairsOff[bool] = False
    """At the published scale, which may take days."""
    seeds: int | None = None
    """How many replicas; none takes what belongs to the scale."""
    out: Path = Path("results")
    """Where outcomes are kept, in a folder of each study's name."""
    launcher: str = "processes"
    """Where the work is done: `processes`, one for each core, or processes:workers=4; or `local`, this process."""
    list: tyro.conf.FlagCreatePairsOff[bool] = False
    """Name all studies with their questions and stop."""
    claims: tyro.conf.FlagCreatePairsOff[bool] = False
    """Print the ledger, all claims with their verdicts (of NAME, if given), and stop."""
    dry_run: tyro.conf.FlagCreatePairsOff[bool] = False
    """Say what would be trained and computed and what it costs, and stop."""
    common: Annotated[Common, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Common)
    """Where to work."""


def run(words: Sequence[str]) -> int:
    """Run the subcommand."""
    arguments = parse(Arguments, words, "study")
    from surplus.studies import Study as _Study  # noqa: F401 - says at once if an extra is missing

    if arguments.list:
        print(_listed())
        return 0
    if arguments.claims:
        print(_claims(arguments.out, arguments.name))
        return 0
    if arguments.name is None:
        raise InvalidArgument("Name a study: `surplus study --list` names them all.")
    if arguments.smoke and arguments.full:
        raise InvalidArgument("`--smoke` and `--full` exclude each other.")
    scale: Scale = "smoke" if arguments.smoke else "full" if arguments.full else "default"
    return _dry_run(arguments, scale) if arguments.dry_run else _conducted(arguments, scale)


def _conducted(arguments: Arguments, scale: "Scale") -> int:
    from surplus.studies import Launcher
    from surplus.studies import study as conduct
    from surplus.studies.ledger import write_ledger

    assert arguments.name is not None
    outcome = conduct(
        arguments.name,
        scale,
        seeds=arguments.seeds,
        out=arguments.out,
        context=arguments.common.context(),
        launcher=member(Launcher, arguments.launcher),
    )
    print(_told(outcome))
    write_ledger(arguments.out)
    say(f"\nTables, figures and a page are in {arguments.out / outcome.study.kind}.")
    return 0


def _dry_run(arguments: Arguments, scale: "Scale") -> int:
    from surplus.studies import Launcher
    from surplus.studies.cost import cost, cost_in_words
    from surplus.studies.grid import Grid
    from surplus.studies.loading import find_study

    assert arguments.name is not None
    num_workers = member(Launcher, arguments.launcher).num_workers
    asked = find_study(arguments.name).at_scale(scale)
    if arguments.seeds is not None:
        asked = asked.with_seeds(arguments.seeds)
    table = cost(Grid(asked, arguments.common.context()))
    print(table)
    say(cost_in_words(table, num_workers))
    return 0


def _told(outcome: "Outcome") -> str:
    lines = [f"{outcome.study.question} ({outcome.scale} scale, {len(outcome.runs)} runs)", ""]
    for claim, evidence in outcome.evidence.items():
        reason = f" ({evidence.reason})" if evidence.reason else ""
        lines += [f"{evidence.verdict}{reason}: {claim.sentence}", f"    {evidence.number()}"]
    return "\n".join(lines)


def _claims(folder: Path, name: str | None) -> Table:
    """Return the ledger, or the claims of one study, which may be defined in a file or module."""
    from surplus.studies.ledger import ledger
    from surplus.studies.loading import find_study

    found = ledger(folder)
    if name is not None and name not in found["study"]:
        name = find_study(name).kind
        found = ledger(folder)  # which knows it now
    if name is not None:
        found = found.where(study=name)
    names = ("study", "claim", "verdict", "estimate", "lower", "upper", "n", "scale")
    return Table({each: found[each] for each in names})


def _listed() -> Table:
    from surplus.studies import Study

    known = members(Study)
    return Table({"study": list(known), "question": [each.question for each in known.values()]})
