"""The README's ablation figures and the numbers of their reading, from runs that lie in a store.

    surplus train lenet-mnist --seeds 0 1 2
    surplus train lenet-mnist --optimizer sgd:learning_rate=0.003,momentum=0.9 --training.batch-size 64 --seeds 0 1 2
    surplus train conv2-cifar10 --seeds 0 1 2
    python bench/figures.py

Needs SURPLUS_DATA with MNIST and CIFAR-10. The runs are found by the specs of these commands.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from surplus.base import Table
from surplus.cli.folders import runs_folder
from surplus.methods import Context, address
from surplus.methods.ablation import Ablation
from surplus.store import Store
from surplus.training import Spec, recipe
from surplus.training.optimizers import SGD

SEEDS = (0, 1, 2)
T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # Student's t for a 95 % interval of n values
CURVES = {
    ("magnitude", "lowest"): ("#0072b2", "-"),
    ("magnitude", "highest"): ("#0072b2", (0, (4, 2))),
    ("frame-potential", "lowest"): ("#d55e00", "-"),
    ("frame-potential", "highest"): ("#d55e00", (0, (4, 2))),
}
GREY = "#767d83"


def panels() -> dict[str, Spec]:
    """Return what is shown, from left to right."""
    lenet = recipe("lenet-mnist")
    sgd = replace(lenet.training, optimizer=SGD(learning_rate=0.003, momentum=0.9), batch_size=64)
    return {
        "LeNet-300-100 on MNIST, SGD": replace(lenet, training=sgd),
        "LeNet-300-100 on MNIST, Adam": lenet,
        "Conv-2 on CIFAR-10, Adam": recipe("conv2-cifar10"),
    }


def ablated(spec: Spec, context: Context) -> list[Table]:
    """Return the curves of fc1 of every replica; what was computed before is read from beside the run."""
    runs = [context.store.run(address(spec), seed) for seed in SEEDS]
    found = [run for run in runs if run.path.is_dir() and run.status().state == "complete"]
    return [Ablation(layers=("fc1",)).apply(run, context).tables["curves"] for run in found]


def accuracies(curves: Table, score: str, remove: str) -> list[list[float]]:
    """Return test accuracy in percent along each repeat of an order."""
    chosen = curves.where(score=score, remove=remove)
    return [
        [100 * float(a or 0) for a in chosen.where(repeat=repeat)["test_accuracy"]]
        for repeat in sorted({int(r or 0) for r in chosen["repeat"]})
    ]


def draw(axes: Axes, title: str, networks: list[Table]) -> None:
    """Draw the mean over networks of each curve, the networks thin, and the band of random orders."""
    drawn = [each for curves in networks for each in accuracies(curves, "random", "lowest")]
    shares = [100 * place / (len(drawn[0]) - 1) for place in range(len(drawn[0]))]
    columns = list(zip(*drawn, strict=True))
    middle, spread = [mean(c) for c in columns], [stdev(c) for c in columns]
    low = [m - s for m, s in zip(middle, spread, strict=True)]
    high = [m + s for m, s in zip(middle, spread, strict=True)]
    axes.fill_between(shares, low, high, color=GREY, alpha=0.22, lw=0)
    axes.plot(shares, middle, color=GREY, lw=1.8, label=f"random (mean ± sd of {len(drawn)})")
    for (score, remove), (colour, dash) in CURVES.items():
        each = [accuracies(curves, score, remove)[0] for curves in networks]
        for curve in each:
            axes.plot(shares, curve, color=colour, ls=dash, lw=0.7, alpha=0.35)
        average = [mean(values) for values in zip(*each, strict=True)]
        label = f"{score.replace('-', ' ')}, {remove} first"
        axes.plot(shares, average, color=colour, ls=dash, lw=2, label=label)
    axes.set_title(f"{title} (n = {len(networks)})", fontsize=10, loc="left")
    axes.set_xlabel("share of fc1's units removed [%]")
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.grid(color="#dfe3e6", lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def difference(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Write the mean paired difference with its 95 % interval over networks."""
    pairs = [a - b for a, b in zip(ours, theirs, strict=True)]
    if len(pairs) < 2:
        return f"{pairs[0]:+.1f} (n = 1)"
    half = T95[len(pairs)] * stdev(pairs) / math.sqrt(len(pairs))
    return f"{mean(pairs):+.1f} ({mean(pairs) - half:+.1f} to {mean(pairs) + half:+.1f})"


def reading(title: str, networks: list[Table]) -> None:
    """Print, at two shares and on average over the curve, the three differences that the README speaks of."""
    for share in ("25 %", "50 %", "whole curve"):

        def at(score: str, remove: str, share: str = share) -> list[float]:
            found = []
            for curves in networks:
                each = accuracies(curves, score, remove)
                if share == "whole curve":
                    found.append(mean(mean(curve) for curve in each))
                else:
                    place = round(float(share.removesuffix(" %")) / 100 * (len(each[0]) - 1))
                    found.append(mean(curve[place] for curve in each))
            return found

        cells = [
            title,
            str(len(networks)),
            share,
            difference(at("magnitude", "lowest"), at("frame-potential", "lowest")),
            difference(at("magnitude", "lowest"), at("random", "lowest")),
            difference(at("frame-potential", "lowest"), at("random", "lowest")),
            difference(at("frame-potential", "highest"), at("random", "lowest")),
        ]
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Print the table of the reading and write the figure."""
    context = Context(store=Store(runs_folder()))
    shown = {title: ablated(spec, context) for title, spec in panels().items()}
    missing = [title for title, networks in shown.items() if not networks]
    if missing:
        sys.exit(
            f"No finished runs of: {', '.join(missing)}. The top of this file says how to train them."
        )
    heads = (
        "fc1 of",
        "n",
        "units removed",
        "magnitude - frame potential",
        "magnitude - random",
        "frame potential - random",
        "highest frame potential - random",
    )
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for title, networks in shown.items():
        reading(title, networks)
    mpl.rcParams.update({"font.family": "DejaVu Sans", "svg.hashsalt": "surplus", "font.size": 9})
    figure, row = plt.subplots(1, len(shown), figsize=(12, 3.9), sharey=True)
    for axes, (title, networks) in zip(row, shown.items(), strict=True):
        draw(axes, title, networks)
    row[0].set_ylabel("test accuracy [%]")
    handles, labels = row[0].get_legend_handles_labels()
    labels[0] = f"random (mean ± sd of {5 * len(SEEDS)})"
    figure.legend(handles, labels, loc="lower center", ncols=5, frameon=False)
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    path = Path(__file__).parents[1] / "docs" / "figures" / "ablation.svg"
    figure.savefig(path, metadata={"Date": None})
    print(f"\n{path}")


if __name__ == "__main__":
    main()
