"""`surplus prune`: what the removal of units costs, by several criteria; and the smaller network on request."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, final

import tyro

from surplus.base import InvalidArgument, Table, Task, check_sparsity, label
from surplus.cli import own
from surplus.cli.options import Common, member, say
from surplus.cli.parsing import parse
from surplus.cli.tables import comparison_table, curve_table, history_table, layer_size
from surplus.edits import Edits
from surplus.methods import Context, Subject, best_cut, subject_of_bundle, subject_of_run
from surplus.methods.ablation import Ablation
from surplus.methods.cutting import Cutting, write_cut
from surplus.methods.scheduled import ScheduledPruning
from surplus.scores import Score
from surplus.scores.random import Random
from surplus.store import Run
from surplus.store.files import check_writable, write_whole

SCORES = ("magnitude", "frame-potential", "random")


@final
@dataclass
class Arguments:
    """Remove units of a trained network one by one, by several criteria side by side.

    The curves are kept beside the run, where `surplus report` finds them (or as CSV beside the bundle); here they are
    printed at some shares of removed units, on the test part. With --sparsity, the criterion that is best on the
    validation part at that sparsity is chosen, the units are cut out, and the dense, the masked and the cut network are
    compared; --out keeps the cut one. With --fork-at, training is forked at those steps instead, pruned there by the
    first criterion, and continued.
    """

    run: tyro.conf.Positional[str] = "last"
    """The run (its folder, the start of its fingerprint, or `last`), a bundle (a .safetensors file), or a model of your
    own (module:factory), which has options of its own: `surplus prune module:factory --help`."""
    layers: tuple[str, ...] = ()
    """The layers; none takes all whose units can be removed."""
    scores: tuple[str, ...] = SCORES
    """The criteria, by name; settings follow a colon, as in magnitude:power=1."""
    remove: tuple[Literal["lowest", "highest"], ...] = ("lowest", "highest")
    """What goes first: what a criterion wants least to keep, or most."""
    repeats: int = 5
    """How often a random order is drawn."""
    sparsity: float | None = None
    """Cut this fraction of the units of each layer, in [0, 1)."""
    out: Path | None = None
    """Write the cut network to this safetensors bundle; needs --sparsity."""
    fork_at: tuple[int, ...] = ()
    """Fork training at these steps, prune --sparsity there, and go on; needs --sparsity."""
    task: str | None = None
    """What to judge a bundle on, by name; the default is the task that it names."""
    common: Annotated[Common, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Common)
    """Where to work."""


def run(words: Sequence[str]) -> int:
    """Run the subcommand."""
    if words and own.is_address(words[0]):
        return own.run(words)
    arguments = parse(Arguments, words, "prune")
    if arguments.sparsity is not None:
        check_sparsity(arguments.sparsity)
    elif arguments.out is not None or arguments.fork_at:
        raise InvalidArgument("`--out` and `--fork-at` need `--sparsity`: how much is to go?")
    if arguments.out is not None:
        _check_out(arguments.out, forked=bool(arguments.fork_at))
    scores = tuple(member(Score, text) for text in arguments.scores)
    if arguments.sparsity is not None and not arguments.fork_at:
        if all(isinstance(score, Random) for score in scores):
            raise InvalidArgument(
                "`--scores` holds no criterion but random, which is a control and is not chosen."
            )
    context = arguments.common.context()
    target = _target(arguments, context)
    layers = target.layers(arguments.layers)
    if arguments.fork_at:
        if len(scores) > 1 and arguments.scores != SCORES:
            raise InvalidArgument("`--fork-at` prunes by one criterion; name one with `--scores`.")
        return _schedule(target, layers, scores[0], arguments)
    ablation = Ablation(
        layers=layers, scores=scores, remove=arguments.remove, repeats=arguments.repeats
    )
    curves = ablate(target, ablation)
    if arguments.sparsity is not None:
        cutting = best_cut(target.subject, curves, layers, scores, arguments.sparsity)
        edits = compare_cut(target, cutting)
        if arguments.out is not None:
            write_cut(target.subject, edits, arguments.out)
            print(f"\nThe cut network is in {arguments.out}; `surplus.load` opens it.")
    return 0


def _check_out(out: Path, *, forked: bool) -> None:
    """Refuse, before any work is done, what could not be written or read again."""
    if forked:
        raise InvalidArgument(
            "`--out` does not go with `--fork-at`, which cuts nothing: prune the fork that you choose afterwards."
        )
    if out.suffix != ".safetensors":
        raise InvalidArgument(f"`--out` is {out}; name a file that ends in .safetensors.")
    check_writable(out)


@final
@dataclass
class Target:
    """What is pruned: a run, beside which results are kept, or a bundle, beside which they are written as CSV."""

    subject: Subject
    context: Context
    run: Run | None = None
    bundle: Path | None = None

    def layers(self, asked: tuple[str, ...]) -> tuple[str, ...]:
        """Return the layers asked for, or all whose units can be removed."""
        return self.subject.units.names(asked)

    def curves(self, ablation: Ablation) -> Table:
        """Return the curves, from beside the run if they are there."""
        if self.run is not None:
            return ablation.apply(self.run, self.context).tables["curves"]
        with self.context.threaded():
            curves = ablation.curves(self.subject, self.context.progress)
        self._write("ablation", curves)
        return curves

    def comparison(self, cutting: Cutting) -> tuple[Table, Edits]:
        """Return the comparison and the edits of a cut, from beside the run if they are there."""
        if self.run is not None:
            derived = cutting.apply(self.run, self.context)
            return derived.tables["comparison"], Edits.from_json(derived.values["edits"])
        with self.context.threaded():
            _, edits, comparison = cutting.cut(self.subject)
        self._write("comparison", comparison)
        return comparison, edits

    def _write(self, name: str, table: Table) -> None:
        assert self.bundle is not None
        path = self.bundle.with_suffix(f".{name}.csv")
        write_whole(path, table.to_csv().encode())
        say(f"Written: {path}")


def target_run(run: Run, context: Context) -> Target:
    """Return a run as what is pruned."""
    return Target(subject_of_run(run, context), context, run=run)


def _target(arguments: Arguments, context: Context) -> Target:
    task = None if arguments.task is None else member(Task, arguments.task)
    bundle = Path(arguments.run)
    if bundle.suffix == ".safetensors":
        return Target(subject_of_bundle(bundle, context, task), context, bundle=bundle)
    if task is not None:
        raise InvalidArgument(
            "`--task` is for bundles; a run is judged on the task that it learnt."
        )
    return target_run(context.store.find(arguments.run), context)


def ablate(target: Target, ablation: Ablation) -> Table:
    """Ablate, print the curves at some shares of removed units, and return them."""
    curves = target.curves(ablation)
    for layer in dict.fromkeys(map(str, curves["layer"])):
        size = layer_size(curves, layer)
        print(f"\n{layer}: test accuracy [%] by share of its {size} units removed\n")
        print(curve_table(curves, layer))
    return curves


def compare_cut(target: Target, cutting: Cutting) -> Edits:
    """Cut, print the comparison, and return the edits."""
    direction = "highest" if cutting.highest else "lowest"
    say(
        f"\nBest on validation at sparsity {cutting.sparsity:g}: {label(cutting.score)}, {direction} first."
    )
    comparison, edits = target.comparison(cutting)
    print(f"\n{', '.join(cutting.layers or ())} at sparsity {cutting.sparsity:g}\n")
    print(comparison_table(comparison))
    return edits


def _schedule(target: Target, layers: tuple[str, ...], score: Score, arguments: Arguments) -> int:
    if target.run is None:
        raise InvalidArgument("`--fork-at` forks the training of a run; a bundle has none.")
    assert arguments.sparsity is not None
    method = ScheduledPruning(
        at=arguments.fork_at,
        sparsity=arguments.sparsity,
        score=score,
        layers=layers,
        highest=arguments.remove == ("highest",),
    )
    history = method.apply(target.run, target.context).tables["history"]
    print(f"\n{label(score)} at sparsity {arguments.sparsity:g} in {', '.join(layers)}\n")
    print(history_table(history))
    return 0
