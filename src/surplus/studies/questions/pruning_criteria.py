"""Pruning criteria: which units can a trained layer do without?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from surplus.base import Cell, Net, register
from surplus.methods.ablation import Ablation
from surplus.methods.merging import Merging
from surplus.nets.conv2 import Conv2
from surplus.nets.conv6 import Conv6
from surplus.nets.lenet_300_100 import LeNet300100
from surplus.scores import Score
from surplus.scores.activation_frequency import ActivationFrequency
from surplus.scores.frame_potential import FramePotential
from surplus.scores.frame_potential_raw import FramePotentialRaw
from surplus.scores.geometric_median import GeometricMedian
from surplus.scores.inner_product import InnerProduct
from surplus.scores.leave_one_out_loss import LeaveOneOutLoss
from surplus.scores.magnitude import Magnitude
from surplus.scores.mean_activation import MeanActivation
from surplus.scores.outgoing_norm import OutgoingNorm
from surplus.scores.random import Random
from surplus.scores.taylor import Taylor
from surplus.studies.arm import Arm
from surplus.studies.claim import claim
from surplus.studies.evidence import Evidence, above, all_of, below
from surplus.studies.found import Found, paired, pick
from surplus.studies.plotting import lines
from surplus.studies.study import Study
from surplus.tasks.mnist import MNIST
from surplus.training import Optimizer, Spec, Training, recipe
from surplus.training.moments.at_steps import AtSteps
from surplus.training.optimizers.adam import Adam
from surplus.training.optimizers.sgd import SGD
from surplus.training.probes.evaluation import Evaluation

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

CRITERIA: tuple[Score, ...] = (
    Magnitude(),
    FramePotential(),
    Random(),
    FramePotentialRaw(),
    InnerProduct(),
    GeometricMedian(),
    OutgoingNorm(),
    ActivationFrequency(),
    MeanActivation(),
)
SLOW: tuple[Score, ...] = (
    Taylor(),
    LeaveOneOutLoss(),
)  # they judge all units anew after each removal
MAGNITUDE, FRAME_POTENTIAL, RANDOM = (
    {"score": name} for name in ("magnitude", "frame-potential", "random")
)
MERGED = {"order": "similarity", "taken_over": "nearest"}
HOW = {"nothing": "dropped", "nearest": "merged", "fitted": "fitted by least squares"}
LEAST = 1.0
"""The smallest difference that counts, in points of test accuracy averaged over a curve."""
DENSE = ("fc1", "fc2")


@register("pruning-criteria")
@dataclass(frozen=True, kw_only=True, slots=True)
class PruningCriteria(Study):
    """Remove the units of one layer of a trained network one by one, without retraining, in each criterion's order.

    LeNet-300-100 learns MNIST with the source's optimiser (SGD, rate 0.003, momentum 0.9, batches of 64) and with Adam
    (rate 0.0012, batches of 60); Conv-2 and Conv-6 learn CIFAR-10 with Adam. Each criterion removes what it wants
    least and what it wants most, judged anew after each removal if it depends on what is left; a random order is drawn
    three times. Biases go with their units. A curve is summed up by its mean test accuracy over all numbers of removed
    units, which is compared within each network; 1 point is the least difference that counts as one. Beside dropping
    units stands merging them: the most similar pair first, the partner takes over.

    Reference: heitmann2020sources, Section 3.
    At the default scale the convolutional networks have a quarter of the published width, a rate of 0.001 and few
    steps, curves are judged on 2,000 test images, and criteria that look at the data anew after each removal (Taylor,
    exact leave-one-out) are left to the full scale. The source has one network of each kind, lets removed units keep
    their biases, and takes the best epoch on the test images.
    """

    references: ClassVar = ("heitmann2020sources",)
    question: ClassVar = "Which criterion finds the units that a trained layer can do without?"
    smoke: ClassVar = {"seeds": 2, "num_epochs": 1, "conv_steps": 60, "num_examples": 500}
    full: ClassVar = {
        "seeds": 10,
        "num_epochs": 40,
        "conv_width": 1.0,
        "conv_steps": None,
        "num_examples": None,
        "scores": (*CRITERIA, *SLOW),
    }

    seeds: int = 5
    """How many networks of each kind are trained."""
    num_epochs: int = 5
    """The passes over MNIST."""
    conv_width: float = 0.25
    """The width of the convolutional networks, as a fraction of the published one."""
    conv_steps: int | None = 1500
    """The updates of the convolutional networks, at rate 0.001; None takes the recipes' rates and numbers of steps."""
    num_examples: int | None = 2000
    """How many examples of validation and of test the curves are judged on; None takes all."""
    scores: tuple[Score, ...] = CRITERIA
    """The criteria."""

    def arms(self) -> Iterable[Arm]:
        """Return four kinds of networks."""
        sgd = SGD(learning_rate=3e-3, momentum=0.9)
        adam = Adam(learning_rate=1.2e-3)
        conv2, conv6 = Conv2(width=self.conv_width), Conv6(width=self.conv_width)
        yield self._arm("LeNet, SGD", DENSE, self._lenet(sgd, 64))
        yield self._arm("LeNet, Adam", DENSE, self._lenet(adam, 60))
        yield self._arm("Conv-2", ("conv2", *DENSE), self._conv(recipe("conv2-cifar10"), conv2))
        yield self._arm("Conv-6", ("conv6", *DENSE), self._conv(recipe("conv6-cifar10"), conv6))

    @claim(
        "Removing the units of smallest norm costs less accuracy than removing the most isolated ones.",
        source="heitmann2020sources",
        place="Section 3, LeNet-300-100, first layer",
    )
    def magnitude_beats_frame_potential(self, found: Found) -> Evidence:
        """Mean accuracy along the curve, in the source's set-up, lowest scores first, paired by network."""
        return _gain(
            found,
            "LeNet, SGD",
            MAGNITUDE,
            FRAME_POTENTIAL,
            "gain of magnitude over frame potential, points",
        )

    @claim(
        "Removing units of low frame-potential contribution, the most isolated, costs less than removing at random.",
        source="heitmann2020sources",
        place="Section 3, LeNet-300-100, first layer",
    )
    def isolated_units_matter_less_than_random_ones(self, found: Found) -> Evidence:
        """Mean accuracy along the curve, in the source's set-up, lowest scores first, paired by network."""
        return _gain(
            found,
            "LeNet, SGD",
            FRAME_POTENTIAL,
            RANDOM,
            "gain of frame potential over random, points",
        )

    @claim(
        "Removing units of high frame-potential contribution, the most repeated, damages more than removing at random.",
        source="heitmann2020sources",
        place="Section 3, LeNet-300-100, first layer",
    )
    def repeated_units_matter_more_than_random_ones(self, found: Found) -> Evidence:
        """Mean accuracy along the curve, in the source's set-up, paired by network."""
        return _gain(
            found,
            "LeNet, SGD",
            RANDOM,
            {**FRAME_POTENTIAL, "remove": "highest"},
            "what is lost beyond random, points",
        )

    @claim(
        "The three orderings do not depend on the optimiser: they hold with Adam as well.",
        place="that the source's networks were trained by SGD with a small rate",
    )
    def the_order_holds_with_adam(self, found: Found) -> Evidence:
        """As the three claims before, on the first layer of LeNet-300-100 trained with Adam."""
        return _all_orderings(found, {"LeNet, Adam": "fc1"})

    @claim(
        "The three orderings hold in dense layers behind convolutions as well.",
        place="that the source shows the first dense layer of Conv-2 beside LeNet's, and speaks of layers in general",
    )
    def the_order_holds_in_convolutional_networks(self, found: Found) -> Evidence:
        """As the three claims before, on the first dense layers of Conv-2 and Conv-6."""
        return _all_orderings(found, {"Conv-2": "fc1", "Conv-6": "fc1"})

    @claim(
        "On Conv-2's first dense layer magnitude and frame potential agree far into the curve.",
        source="heitmann2020sources",
        place="Section 3, Conv-2, first dense layer",
    )
    def criteria_agree_on_conv2(self, found: Found) -> Evidence:
        """The mean distance of the two accuracies until half of the units are gone; below 1 point they agree."""
        curves = pick(found["ablation/curves"], net="Conv-2", layer="fc1", remove="lowest")
        half = curves[curves["num_removed"] <= curves["num_removed"].max() / 2]
        one, other = (
            pick(half, **each).set_index(["replica", "num_removed"])["test_accuracy"]
            for each in (MAGNITUDE, FRAME_POTENTIAL)
        )
        distance = (one - other).abs().groupby(level="replica").mean()
        return below(
            100 * distance, bound=LEAST, what="distance of the curves up to one half, points"
        )

    @claim(
        "Handing over what a near-duplicate did to its twin saves accuracy that dropping it would cost.",
        place="that the source drops repeated units without merging them",
    )
    def merging_beats_dropping(self, found: Found) -> Evidence:
        """The same units go, most similar pair first; mean accuracy along the curve, in each kind of network."""
        return _merging(found, {"order": "similarity", "taken_over": "nothing"})

    @claim(
        "Merging the most similar units costs less accuracy than dropping those of smallest norm.",
        place="that redundancy is what may be removed if its work is handed over",
    )
    def merging_beats_magnitude(self, found: Found) -> Evidence:
        """Mean accuracy along the curve, paired by network, in each kind of network."""
        return _merging(found, {"order": "magnitude", "taken_over": "nothing"})

    @claim(
        "A unit of small norm is better handed over to its nearest neighbour than dropped.",
        place="that merging and the choice of who goes are two questions",
    )
    def handing_over_helps_magnitude(self, found: Found) -> Evidence:
        """Smallest norm first, with and without handing over; otherwise as the claim before."""
        return _merging(
            found,
            {"order": "magnitude", "taken_over": "nothing"},
            {"order": "magnitude", "taken_over": "nearest"},
        )

    @claim(
        "Fitting the work of removed units onto all that are left costs less than dropping them.",
        place="asked after a first look at four of these networks, in which fitting did far better than merging",
    )
    def fitting_beats_dropping(self, found: Found) -> Evidence:
        """Smallest norm first, with and without fitting; otherwise as the claim before."""
        return _merging(
            found,
            {"order": "magnitude", "taken_over": "nothing"},
            {"order": "magnitude", "taken_over": "fitted"},
        )

    def tables(self, found: Found) -> Mapping[str, "pandas.DataFrame"]:
        """Return the mean test accuracy along the curves, in percent: of every criterion, and of merging."""
        keys = ["net", "layer", "score", "remove"]
        return {
            "criteria": _summary(found["ablation/curves"], keys),
            "merging": _summary(found["merging/curves"], ["net", "layer", "order", "taken_over"]),
        }

    def figures(self, found: Found) -> Mapping[str, "Figure"]:
        """Draw the curves of the source's criteria in every layer, and those of merging in the first dense one."""
        curves = found["ablation/curves"]
        curves["criterion"] = curves["score"] + ", " + curves["remove"] + " first"
        curves.loc[curves["score"] == "random", "criterion"] = "random"
        named = ["magnitude, lowest first", "frame-potential, lowest first", "random"]
        chosen = curves[curves["criterion"].isin([*named, "frame-potential, highest first"])]
        merged = found["merging/curves"]
        merged["how"] = merged["order"] + ", " + merged["taken_over"].map(HOW)
        labels = "units removed", "test accuracy"
        return {
            "criteria": lines(
                chosen,
                "num_removed",
                "test_accuracy",
                by="criterion",
                across=["net", "layer"],
                labels=labels,
            ),
            "merging": lines(
                merged[merged["layer"] == "fc1"],
                "num_removed",
                "test_accuracy",
                by="how",
                across="net",
                labels=labels,
                columns=2,
            ),
        }

    def _arm(self, net: str, layers: tuple[str, ...], spec: Spec) -> Arm:
        return Arm(
            labels={"net": net},
            spec=spec,
            methods=(
                Ablation(
                    scores=self.scores, layers=layers, repeats=3, num_examples=self.num_examples
                ),
                Merging(layers=layers, num_examples=self.num_examples),
            ),
        )

    def _lenet(self, optimizer: Optimizer, batch_size: int) -> Spec:
        training = Training(optimizer=optimizer, batch_size=batch_size, num_epochs=self.num_epochs)
        return Spec(net=LeNet300100(), task=MNIST(), training=_quiet(training))

    def _conv(self, published: Spec, net: Net) -> Spec:
        training = published.training
        if self.conv_steps is not None:
            adam = Adam(learning_rate=1e-3)
            training = replace(training, optimizer=adam, num_steps=self.conv_steps)
        return replace(published, net=net, training=_quiet(training))


def _quiet(training: Training) -> Training:
    """Keep and judge the first and the last state only."""
    return replace(training, snapshots=AtSteps(), probes=(Evaluation(at=AtSteps()),))


def _gain(
    found: Found,
    net: str,
    some: Mapping[str, Cell],
    other: Mapping[str, Cell],
    what: str,
    layer: str = "fc1",
    among: int = 1,
) -> Evidence:
    curves = pick(found["ablation/curves"], net=net, layer=layer)
    one, two = ({"remove": "lowest", **each} for each in (some, other))
    return above(
        100 * paired(curves, "test_accuracy", one, two), what=what, least=LEAST, among=among
    )


def _all_orderings(found: Found, layers: Mapping[str, str]) -> Evidence:
    highest = {**FRAME_POTENTIAL, "remove": "highest"}
    pairs = {
        "magnitude over frame potential": (MAGNITUDE, FRAME_POTENTIAL),
        "lowest frame potential over random": (FRAME_POTENTIAL, RANDOM),
        "random over highest frame potential": (RANDOM, highest),
    }
    among = len(pairs) * len(layers)
    return all_of(
        {
            f"{net}, {name}": _gain(found, net, *arms, "gain, points", layer, among)
            for net, layer in layers.items()
            for name, arms in pairs.items()
        }
    )


def _merging(
    found: Found, other: Mapping[str, Cell], some: Mapping[str, Cell] = MERGED
) -> Evidence:
    curves = pick(found["merging/curves"], layer="fc1")
    nets = list(dict.fromkeys(curves["net"]))
    return all_of(
        {
            net: above(
                100 * paired(pick(curves, net=net), "test_accuracy", some, other),
                what="gain, points",
                least=LEAST,
                among=len(nets),
            )
            for net in nets
        }
    )


def _summary(curves: "pandas.DataFrame", keys: list[str]) -> "pandas.DataFrame":
    each = 100 * curves.groupby([*keys, "replica"], sort=False)["test_accuracy"].mean()
    found = each.groupby(keys, sort=False).agg(["mean", "std", "count"]).reset_index()
    return found.rename(columns={"mean": "mean_accuracy", "std": "sd", "count": "n"})
