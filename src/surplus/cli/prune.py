"""`surplus prune`: what the removal of units costs, by several criteria; and the smaller network on request."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from surplus.base import InvalidArgument, Table, check_sparsity
from surplus.cli.options import Common, member, parse, say
from surplus.cli.tables import comparison_table, curve_table
from surplus.methods import Choice, Context, best_order, model_of, units_of
from surplus.methods.ablation import Ablation
from surplus.methods.cutting import Cutting
from surplus.methods.scheduled import ScheduledPruning
from surplus.scores import Score
from surplus.store import Run


@dataclass
class Arguments:
    """Remove units of a trained network one by one, by several criteria side by side.

    The curves are kept beside the run and shown by `surplus report`; here they are printed at some shares of removed
    units, on the test part. With --sparsity, the criterion that is best on the validation part at that sparsity is
    chosen, the units are cut out, and the dense, the masked and the cut network are compared; --out keeps the cut one.
    With --fork-at, training is forked at those steps instead, pruned there, and continued.
    """

    run: tyro.conf.Positional[str] = "last"
    """The run: its folder, the start of its fingerprint, or `last`."""
    layers: tuple[str, ...] = ()
    """The layers; none takes all whose units can be removed."""
    scores: tuple[str, ...] = ("magnitude", "frame-potential", "random")
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
    common: Annotated[Common, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Common)
    """Where to work."""


def run(words: Sequence[str]) -> int:
    """Run the subcommand."""
    arguments = parse(Arguments, words, "prune")
    if arguments.sparsity is not None:
        check_sparsity(arguments.sparsity)
    elif arguments.out is not None or arguments.fork_at:
        raise InvalidArgument("`--out` and `--fork-at` need `--sparsity`: how much is to go?")
    scores = tuple(member(Score, text) for text in arguments.scores)
    context = arguments.common.context()
    chosen = context.store.find(arguments.run)
    layers = _layers(chosen, arguments.layers, context)
    if arguments.fork_at:
        return _schedule(chosen, layers, scores[0], arguments, context)
    ablation = Ablation(
        layers=layers, scores=scores, remove=arguments.remove, repeats=arguments.repeats
    )
    curves = ablate(chosen, ablation, context)
    if arguments.sparsity is not None:
        cutting = chosen_cut(curves, layers, scores, arguments.sparsity)
        compare_cut(chosen, cutting, context)
        if arguments.out is not None:
            cutting.write(chosen, arguments.out, context)
            print(f"\nThe cut network is in {arguments.out}; `surplus.load` opens it.")
    return 0


def ablate(run: Run, ablation: Ablation, context: Context) -> Table:
    """Ablate a run, print the curves at some shares, and return them."""
    curves = ablation.apply(run, context).tables["curves"]
    for layer in dict.fromkeys(map(str, curves["layer"])):
        size = max(int(count or 0) for count in curves.where(layer=layer)["num_removed"])
        print(f"\n{layer}: test accuracy [%] by share of its {size} units removed\n")
        print(curve_table(curves, layer))
    return curves


def chosen_cut(
    curves: Table, layers: tuple[str, ...], scores: tuple[Score, ...], sparsity: float
) -> Cutting:
    """Return the cut by the criterion that is best on validation, over all layers together."""
    options: dict[tuple[str, str], list[Choice]] = {}
    for layer in layers:
        for choice in all_choices(curves, layer, sparsity):
            options.setdefault((choice.score, choice.remove), []).append(choice)
    (kind, remove), _ = max(
        options.items(),
        key=lambda option: (
            sum(choice.validation_accuracy for choice in option[1]),
            -sum(choice.validation_loss for choice in option[1]),
        ),
    )
    score = next(each for each in scores if each.kind == kind)
    say(f"\nBest on validation at sparsity {sparsity:g}: {kind}, {remove} first.")
    return Cutting(sparsity=sparsity, score=score, layers=layers, highest=remove == "highest")


def all_choices(curves: Table, layer: str, sparsity: float) -> list[Choice]:
    """Return how each criterion and direction does on validation at a sparsity of one layer."""
    pairs = dict.fromkeys(zip(curves["score"], curves["remove"], strict=True))
    return [
        best_order(curves.where(score=score, remove=remove), layer, sparsity)
        for score, remove in pairs
        if score != "random"
    ]


def compare_cut(run: Run, cutting: Cutting, context: Context) -> None:
    """Cut a run's network and print the comparison."""
    comparison = cutting.apply(run, context).tables["comparison"]
    layers = ", ".join(cutting.layers or ())
    print(f"\n{layers} at sparsity {cutting.sparsity:g}\n")
    print(comparison_table(comparison))


def _layers(run: Run, asked: tuple[str, ...], context: Context) -> tuple[str, ...]:
    model, _ = model_of(run)
    units = units_of(run, model, context)
    for name in asked:
        units.chosen(name)
    return asked or tuple(group.name for group in units.removable())


def _schedule(
    run: Run, layers: tuple[str, ...], score: Score, arguments: Arguments, context: Context
) -> int:
    assert arguments.sparsity is not None
    method = ScheduledPruning(
        at=arguments.fork_at,
        sparsity=arguments.sparsity,
        score=score,
        layers=layers,
        highest=arguments.remove == ("highest",),
    )
    history = method.apply(run, context).tables["history"]
    print(f"\n{score.kind} at sparsity {arguments.sparsity:g} in {', '.join(layers)}\n")
    last = max(int(step or 0) for step in history["step"])
    ends = history.where(step=last)
    print(
        Table(
            {
                "network": ends["arm"],
                "validation [%]": [
                    f"{100 * float(a or 0):.2f}" for a in ends["validation_accuracy"]
                ],
                "test [%]": [f"{100 * float(a or 0):.2f}" for a in ends["test_accuracy"]],
            }
        )
    )
    return 0
