"""`surplus measure`: how redundant a network is, where, and of what kind."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, final

import tyro

from surplus.base import Cell, InvalidArgument, Table, Task, members
from surplus.cli import own
from surplus.cli.options import Common, member, say
from surplus.cli.parsing import parse
from surplus.measures import Measure, check_measures, verdict
from surplus.measures.report import report_measures
from surplus.methods import Context, subject_of_bundle
from surplus.methods.measure import measure_model, measure_run
from surplus.methods.measuring import Measuring
from surplus.store.files import check_writable, write_whole

SHOWN = 40
"""How many rows of a table are printed; the file holds all."""
OF_ONE = ("unit", "example")


@final
@dataclass
class Arguments:
    """Measure the redundancy of a network, and say in plain words what is found, layer by layer.

    Without --by the report is made: dead, repeated and removable units, ranks, frame potentials, collapse, gaps. All
    that several measures need is gathered in one pass over the data. Numbers are kept as a tidy table beside the run,
    or written to --out.
    """

    run: tyro.conf.Positional[str] = "last"
    """The run (its folder, the start of its fingerprint, or `last`), a bundle (a .safetensors file), or a model of your
    own (module:factory)."""
    by: tuple[str, ...] = ()
    """The measures, by name; settings follow a colon, as in direction-clusters:k=8. None makes the report."""
    list: tyro.conf.FlagCreatePairsOff[bool] = False
    """Name all measures and stop."""
    at: str | None = None
    """The step of the run's snapshot, or `all`; none takes the last."""
    layers: tuple[str, ...] = ()
    """The layers; none takes all that have weights."""
    part: Literal["train", "validation", "test"] = "train"
    """Which part of the data to look at."""
    examples: int = 10_000
    """How many examples of it at most, drawn by the seed; 0 takes all."""
    seed: int = 0
    """Of whatever is drawn."""
    against: str | None = None
    """A second run to compare with, for measures of two networks."""
    task: str | None = None
    """What to measure a bundle on, by name; the default is the task that it names."""
    example: str | None = None
    """What your own model is called with: a shape such as 1x3x32x32, or module:function; the default is the data."""
    batches: str | None = None
    """Batches of (inputs, targets) for your own model, as module:loader."""
    weights: Path | None = None
    """A safetensors bundle written by `surplus.save` for your own model; without it the factory's weights are used."""
    initial: Path | None = None
    """A bundle of your own model as it was at initialisation, which some measures compare with."""
    out: Path | None = None
    """Write the table to this file: .csv, or .parquet with the extra `parquet`."""
    common: Annotated[Common, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Common)
    """Where to work."""


def run(words: Sequence[str]) -> int:
    """Run the subcommand."""
    arguments = parse(Arguments, words, "measure")
    if arguments.list:
        print(_listed())
        return 0
    if arguments.examples < 0:
        raise InvalidArgument(f"`--examples` is {arguments.examples}; 0 takes all.")
    if arguments.out is not None:
        if arguments.out.suffix not in (".csv", ".parquet"):
            raise InvalidArgument(f"`--out` is {arguments.out}; it must end in .csv or .parquet.")
        check_writable(arguments.out)
    by = check_measures([member(Measure, text) for text in arguments.by])
    context = arguments.common.context()
    table = _measured(arguments, by or report_measures(), context)
    print(_summary(table) if by else verdict(table))
    if arguments.out is not None:
        _write(table, arguments.out)
        say(f"\nAll {len(table):,} numbers are in {arguments.out}.")
    return 0


def _measured(arguments: Arguments, by: tuple[Measure, ...], context: Context) -> Table:
    asked = Measuring(
        by=by,
        part=arguments.part,
        num_examples=arguments.examples or None,
        layers=arguments.layers or None,
        seed=arguments.seed,
    )
    if own.is_address(arguments.run):
        _refuse_for(arguments, ("at", "against", "task"), "a model of your own has none")
        model = own.built(arguments.run, arguments.weights)
        if arguments.batches is None and arguments.example is None:
            raise InvalidArgument(
                f"{arguments.run} has to be called once to find its units: pass `--batches` (module:loader), or an"
                " `--example` such as 1x3x32x32, which is enough for measures of weights alone."
            )
        data = None if arguments.batches is None else own.called(arguments.batches)
        example = None if arguments.example is None else own.example_of(arguments.example)
        start = None if arguments.initial is None else own.built(arguments.run, arguments.initial)
        with context.threaded():
            return measure_model(model, asked, data, example, start)
    _refuse_for(
        arguments, ("example", "batches", "weights", "initial"), "it is for models of your own"
    )
    bundle = Path(arguments.run)
    if bundle.suffix == ".safetensors":
        _refuse_for(arguments, ("at", "against"), "a bundle has none")
        task = None if arguments.task is None else member(Task, arguments.task)
        subject = subject_of_bundle(bundle, context, task)
        with context.threaded():
            return measure_model(subject.model, asked, subject.parts, subject.units.example)
    _refuse_for(arguments, ("task",), "a run is measured on the task that it learnt")
    run_ = context.store.find(arguments.run)
    other = None if arguments.against is None else context.store.find(arguments.against)
    return measure_run(run_, asked, context, _at(arguments.at), other)


def _at(text: str | None) -> int | Literal["all"] | None:
    if text is None:
        return None
    if text == "all":
        return "all"
    if not text.isdecimal():
        raise InvalidArgument(f"`--at` is {text}; it is the step of a snapshot, or `all`.")
    return int(text)


def _refuse_for(arguments: Arguments, names: tuple[str, ...], reason: str) -> None:
    for name in names:
        if getattr(arguments, name) is not None:
            raise InvalidArgument(f"`--{name}` does not go with {arguments.run}: {reason}.")


def _summary(table: Table) -> str:
    """Return what fits a terminal: numbers of single units and examples are only counted."""
    rows = [row for row in table.rows() if all(row[name] is None for name in OF_ONE)]
    names = [
        name for name in table.columns
        if name not in OF_ONE and any(row[name] is not None for row in rows)
    ]  # fmt: skip
    shown = Table.from_rows([{name: row[name] for name in names} for row in rows[:SHOWN]])
    left = len(table) - min(len(rows), SHOWN)
    more = f"\n\n{left:,} more numbers: write all with --out." if left else ""
    return f"{shown}{more}"


def _listed() -> Table:
    rows: list[dict[str, Cell]] = []
    for kind, each in members(Measure).items():
        sentence = (each.__doc__ or "").split("\n\n")[0].strip().replace("\n    ", " ")
        rows.append({"measure": kind, "needs": ", ".join(each.needs), "what": sentence})
    return Table.from_rows(rows)


def _write(table: Table, path: Path) -> None:
    data = table.to_parquet() if path.suffix == ".parquet" else table.to_csv().encode()
    write_whole(path, data)
