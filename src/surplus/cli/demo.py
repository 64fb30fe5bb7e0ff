"""`surplus demo`: the main job on embedded data, end to end."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, final

import tyro

from surplus.cli.options import Common, say
from surplus.cli.parsing import parse
from surplus.cli.prune import ablate, compare_cut, target_run
from surplus.cli.train import line
from surplus.methods import best_cut, train
from surplus.methods.ablation import Ablation
from surplus.methods.geometry import Geometry
from surplus.training import recipe
from surplus.viewer import write_report

SPARSITY = 0.5


@final
@dataclass
class Arguments:
    """Train LeNet-300-100 on real digits and see which of its units can go.

    The network is trained on 8,000 images of MNIST that ship with Surplus, its history is kept, the units of both
    hidden layers are removed one by one by several criteria with random controls, half of the first layer is cut out by
    the criterion that is best on validation, and a report is written. Nothing is downloaded.
    """

    seed: int = 0
    """The replica."""
    out: Path = Path("report.html")
    """The report."""
    common: Annotated[Common, tyro.conf.arg(name="")] = field(default_factory=Common)
    """Where to work."""


def run(words: Sequence[str]) -> int:
    """Run the subcommand."""
    arguments = parse(Arguments, words, "demo")
    context = arguments.common.context()
    begun = time.perf_counter()
    say("1. Train LeNet-300-100 on 8,000 images of handwritten digits, keeping its history.")
    (trained,) = train(recipe("lenet-mnist-10k"), (arguments.seed,), context)
    print(line(trained))
    say("\n2. Which units can go? Remove them one by one, by several criteria and at random.")
    ablation = Ablation(layers=("fc1", "fc2"))
    target = target_run(trained, context)
    curves = ablate(target, ablation)
    say("\n3. Cut half of the first layer out, by the criterion that is best on validation.")
    compare_cut(target, best_cut(target.subject, curves, ("fc1",), ablation.scores, SPARSITY))
    Geometry().apply(trained, context)
    write_report(trained, arguments.out)
    say(f"\nDone in {time.perf_counter() - begun:.0f} s. Open the report in a browser:")
    print(arguments.out.resolve())
    return 0
