"""Exploration: why a wider network generalises better where every pattern is known."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy
import pandas
from matplotlib.figure import Figure
from scipy import stats

from surplus.base import register
from surplus.methods.alignment import Alignment
from surplus.methods.history import History
from surplus.nets import FixedReadout, XORDNet
from surplus.studies.arm import Arm
from surplus.studies.claim import claim
from surplus.studies.evidence import Evidence, above, all_of, below, share_above
from surplus.studies.found import Found, paired, pick
from surplus.studies.plotting import COLOURS, legend, lines, panels
from surplus.studies.study import Study
from surplus.tasks import XORD, XORCluster
from surplus.training import Spec, Training
from surplus.training.moments import AtSteps
from surplus.training.optimizers import SGD
from surplus.training.probes import Evaluation

CLUSTER_STEPS = (1, 2, 5, 10, 20, 50, 100, 200)


@register("exploration")
@dataclass(frozen=True, kw_only=True, slots=True)
class Exploration(Study):
    """Train XORD networks of k filters of each sign on two inputs that show all there is to know, and test exactly.

    Full-batch gradient descent with step 0.1 / k from weights of standard deviation 0.001 / k^1.5, for 3,000 steps; the
    training inputs are one positive with all four patterns and one negative with both negative patterns, the test part
    is all 15 sets of patterns. The margin of positives is gamma, that of negatives 1; gamma = 1 is the control. A
    pattern counts as found if a filter of the sign it calls for, of at least 0.3 times the largest norm of that sign,
    ends within 22.5 degrees of it: the mean angle at which a random direction begins. Beside it, XOR-cluster data (200
    examples in 2,000 dimensions, a tenth of the labels flipped; 100 rectifiers, step 0.05, 200 steps), drawn anew for
    every replica.

    Reference: brutzkus2019larger, the experiments on XORD; xu2024benign, the experiments on XOR-cluster.
    Both papers vary more; the numbers of XOR-cluster are a smaller set-up of the same regime.
    """

    references: ClassVar = ("brutzkus2019larger", "xu2024benign")
    question: ClassVar = "Does a wider network generalise better because it explores better, or because it collapses?"
    smoke: ClassVar = {"seeds": 8, "widths": (2, 10), "draws": 2}
    full: ClassVar = {
        "seeds": 100,
        "widths": (2, 4, 6, 10, 20, 50, 120),
        "gammas": (8.0, 5.0, 2.0, 1.0),
        "draws": 20,
    }

    seeds: int = 48
    """How many XORD networks of each kind."""
    widths: tuple[int, ...] = (2, 4, 10, 20, 50)
    """k."""
    gammas: tuple[float, ...] = (8.0, 1.0)
    """The margins of positives; the last is that of negatives, too, and the control."""
    draws: int = 12
    """How many draws of XOR-cluster data, each with a network of its own."""

    def arms(self) -> Iterable[Arm]:
        """Return every width under every margin, and the draws of XOR-cluster data."""
        for gamma in self.gammas:
            for width in self.widths:
                yield Arm(
                    labels={"task": "xord", "width": width, "gamma": gamma, "draw": 0},
                    spec=xord(width, gamma),
                    methods=(Alignment(), History()),
                )
        for draw in range(self.draws):
            yield Arm(
                labels={"task": "xor-cluster", "width": 100, "gamma": None, "draw": draw},
                spec=clusters(draw),
                methods=(Alignment(every=True), History()),
                seeds=(draw,),
            )

    @claim(
        "Of networks that fit the training inputs, wide ones are right on every input, and narrow ones are not.",
        source="brutzkus2019larger",
        place="the theorem on overparameterised networks, and the experiments on XORD",
    )
    def wider_generalises_better(self, found: Found) -> Evidence:
        """At the large margin: the probability of a perfect test given no training error, against one half."""
        narrow, wide = (
            self._fitting(found, gamma=self.gammas[0], width=width)["perfect"]
            for width in (min(self.widths), max(self.widths))
        )
        return all_of(
            {
                "widest": share_above(
                    int(wide.sum()), len(wide), what="share perfect", bound=0.5, among=2
                ),
                "narrowest": share_above(
                    int((~narrow).sum()), len(narrow), what="share imperfect", bound=0.5, among=2
                ),
            }
        )

    @claim(
        "With an equal margin on both classes even the widest network that fits is mostly wrong somewhere.",
        place="with a small margin one positive pattern satisfies the hinge, and learning stops",
    )
    def margins_must_differ(self, found: Found) -> Evidence:
        """The control at the largest width: P(imperfect test | no training error), against one half."""
        chosen = self._fitting(found, gamma=self.gammas[-1], width=max(self.widths))
        return share_above(
            int((~chosen["perfect"]).sum()), len(chosen), what="share imperfect", bound=0.5
        )

    @claim(
        "Wider networks explore better: more of the four patterns are found by some filter.",
        source="brutzkus2019larger",
        place="where exploration is defined: filters of every direction at initialisation",
    )
    def wider_finds_more(self, found: Found) -> Evidence:
        """Patterns found at the large margin, widest against narrowest, paired by replica; half a pattern matters."""
        runs = pick(self._runs(found), gamma=self.gammas[0])
        gain = paired(runs, "found", {"width": max(self.widths)}, {"width": min(self.widths)})
        return above(gain, what="more patterns found", least=0.5)

    @claim(
        "At the large margin a network that fits generalises exactly when it has found every pattern.",
        place="if exploration is the reason, it decides network by network; asked of both margins until a first run",
    )
    def finding_decides(self, found: Found) -> Evidence:
        """Over all widths: the share of fitting networks in which both agree, against 0.9."""
        runs = self._fitting(found, gamma=self.gammas[0])
        agree = (runs["found"] == 4) == runs["perfect"]
        return share_above(int(agree.sum()), len(agree), what="share that agree", bound=0.9)

    @claim(
        "Exploration is enough: with equal margins, too, networks that have found every pattern generalise.",
        place="the control: the same filters from the same start; asked after a first run of these networks",
    )
    def finding_is_enough(self, found: Found) -> Evidence:
        """Of the fitting networks of the control that found all four: the share that is perfect, against one half."""
        runs = self._fitting(found, gamma=self.gammas[-1])
        runs = runs[runs["found"] == 4]
        return share_above(int(runs["perfect"].sum()), len(runs), what="share perfect", bound=0.5)

    @claim(
        "Filters cluster: those that have grown end closer to a pattern than they began.",
        source="brutzkus2019larger",
        place="where clustering is defined: filters gather around few directions",
    )
    def filters_cluster(self, found: Found) -> Evidence:
        """Mean angle to the nearest pattern at the largest width and margin, end minus start; 5 degrees matter."""
        runs = pick(self._runs(found), gamma=self.gammas[0], width=max(self.widths))
        return below(runs["end"] - runs["start"], what="change of angle, degrees", least=5)

    @claim(
        "Collapse is not the reason: where the margins are equal, filters of wide networks cluster as well.",
        place="the control that does not generalise",
    )
    def collapse_does_not_decide(self, found: Found) -> Evidence:
        """The same angle at the end in the control, at the largest width, against 5 degrees; random ones have 22.5."""
        runs = pick(self._runs(found), gamma=self.gammas[-1], width=max(self.widths))
        return below(runs["end"], what="angle at the end, degrees", bound=5)

    @claim(
        "After one step a network fits noisy XOR clusters and tests at chance; later it tests well and still fits.",
        source="xu2024benign",
        place="the theorems on one step and on later steps",
    )
    def benign_overfitting_comes_late(self, found: Found) -> Evidence:
        """Train and test accuracy after step 1 (above 0.95, below 0.65) and at the end (above 0.99, above 0.95)."""
        events = pick(found["history/events"], task="xor-cluster")
        first, last = (pick(events, step=step) for step in (1, CLUSTER_STEPS[-1]))
        return all_of(
            {
                "test at step 1": below(
                    first["test_accuracy"], what="accuracy", bound=0.65, among=4
                ),
                "train at step 1": above(
                    first["train_accuracy"], what="accuracy", bound=0.95, among=4
                ),
                "test at the end": above(
                    last["test_accuracy"], what="accuracy", bound=0.95, among=4
                ),
                "train at the end": above(
                    last["train_accuracy"], what="accuracy", bound=0.99, among=4
                ),
            }
        )

    @claim(
        "What comes later is alignment: hidden units turn towards the cluster centres after the first step.",
        source="xu2024benign",
        place="the proof sketch: first a linear classifier, then the centres",
    )
    def alignment_comes_late(self, found: Found) -> Evidence:
        """Mean angle to the nearest centre over units, end minus step 1, by draw; 5 degrees matter."""
        units = pick(found["alignment/units"], task="xor-cluster")
        change = paired(units, "angle_degrees", {"step": CLUSTER_STEPS[-1]}, {"step": 1}, by="draw")
        return below(change, what="change of angle, degrees", least=5)

    def tables(self, found: Found) -> Mapping[str, pandas.DataFrame]:
        """Return the probability of a perfect test with its exact interval, patterns found, and angles."""
        runs = self._runs(found)
        return {"generalisation": pandas.DataFrame(map(_row, runs.groupby(["gamma", "width"])))}

    def figures(self, found: Found) -> Mapping[str, Figure]:
        """Return generalisation, patterns found and angles against width, and XOR-cluster through training."""
        table = self.tables(found)["generalisation"]
        figure, axes = panels(3)
        quantities = {
            "probability": "P(perfect test | fits)",
            "found": "patterns found, of 4",
            "end": "angle to a pattern [°]",
        }
        for axis, (name, label) in zip(axes, quantities.items(), strict=True):
            for colour, (gamma, rows) in zip(
                COLOURS, table.groupby("gamma", sort=False), strict=False
            ):
                axis.plot(
                    rows["width"], rows[name], "o-", color=colour, label=f"margin {gamma:g}", ms=3
                )
                if name == "probability":
                    axis.fill_between(
                        rows["width"], rows["lower"], rows["upper"], color=colour, alpha=0.18, lw=0
                    )
            if name == "end":
                axis.axhline(22.5, color="#999999", ls=":", label="at the start, on average")
            axis.set_xscale("log")
            axis.set_xticks(self.widths, [str(width) for width in self.widths])
            axis.minorticks_off()
            axis.set_xlabel("k, filters of each sign")
            axis.set_ylabel(label)
        legend(figure, axes)
        clusters = pick(found["history/events"], task="xor-cluster").melt(
            ["draw", "step"], ["train_accuracy", "test_accuracy"], "part", "accuracy"
        )
        clusters["part"] = clusters["part"].str.removesuffix("_accuracy")
        curves = lines(
            clusters,
            "step",
            "accuracy",
            by="part",
            replica="draw",
            log="x",
            labels=("step", "accuracy on XOR clusters"),
        )
        return {"width": figure, "xor-cluster": curves}

    def _fitting(self, found: Found, **equal: float) -> pandas.DataFrame:
        runs = self._runs(found)
        return pick(runs[runs["fits"]], **equal)

    def _runs(self, found: Found) -> pandas.DataFrame:
        """Return one row for each XORD network: whether it fits and is perfect, patterns found, mean angles."""
        keys = ["gamma", "width", "replica"]
        last = pick(found["history/events"], task="xord", step=STEPS).set_index(keys)
        units = pick(found["alignment/units"], task="xord").copy()
        units["sign"] = numpy.sign(units["fan_out_strongest"])
        largest = units.groupby([*keys, "step", "sign"])["norm"].transform("max")
        grown = units[(units["norm"] >= 0.3 * largest) | (units["step"] == 0)]
        angle = grown.groupby([*keys, "step"])["angle_degrees"].mean().unstack()
        wanted = 1 - 2 * (grown["direction"] % 2)  # patterns 0 and 2 are positive
        near = grown["angle_degrees"] < 22.5
        right = near & (grown["sign"] == wanted) & (grown["step"] > 0)
        seen = grown[right].groupby(keys)["direction"].nunique()
        return pandas.DataFrame(
            {
                "fits": last["train_accuracy"] == 1,
                "perfect": last["test_accuracy"] == 1,
                "found": seen.reindex(last.index, fill_value=0),
                "start": angle[0].reindex(last.index),
                "end": angle[STEPS].reindex(last.index),
            }
        ).reset_index()


STEPS = 3000


def xord(width: int, gamma: float) -> Spec:
    """Return the training of an XORD network."""
    training = Training(
        optimizer=SGD(learning_rate=0.1 / width),
        batch_size=2,
        num_steps=STEPS,
        snapshots=AtSteps(),
        log=AtSteps(),
        probes=(Evaluation(at=AtSteps(given=(STEPS,)), parts=("train", "test")),),
    )
    return Spec(net=XORDNet(width=width), task=XORD(gamma=gamma), training=training)


def clusters(draw: int) -> Spec:
    """Return the training on XOR-cluster data."""
    training = Training(
        optimizer=SGD(learning_rate=0.05),
        batch_size=200,
        num_steps=CLUSTER_STEPS[-1],
        snapshots=AtSteps(given=(1,)),
        log=AtSteps(),
        probes=(Evaluation(at=AtSteps(given=CLUSTER_STEPS), parts=("train", "test")),),
    )
    return Spec(net=FixedReadout(), task=XORCluster(seed=draw), training=training)


def _row(group: tuple[tuple[float, int], pandas.DataFrame]) -> dict[str, float]:
    (gamma, width), runs = group
    fitting = runs[runs["fits"]]
    n, perfect = len(fitting), int(fitting["perfect"].sum())
    interval = stats.binomtest(perfect, n).proportion_ci(method="exact") if n else (None, None)
    return {
        "gamma": gamma,
        "width": width,
        "n": len(runs),
        "fits": n,
        "perfect": perfect,
        "probability": perfect / n if n else numpy.nan,
        "lower": interval[0],
        "upper": interval[1],
        "found": runs["found"].mean(),
        "start": runs["start"].mean(),
        "end": runs["end"].mean(),
    }
