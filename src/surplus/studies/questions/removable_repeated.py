"""Removable and repeated units: what becomes of the additional units of a wider layer?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy
import pandas

from surplus.base import Net, register
from surplus.measures import DeadUnits, GeneralisationGap, RemovableUnits, RepeatedUnits
from surplus.methods import Measuring
from surplus.nets import MLP, AlexNetSmall, Rescaled
from surplus.studies.arm import Arm
from surplus.studies.claim import claim
from surplus.studies.evidence import Evidence, above, all_of, below
from surplus.studies.found import Found, paired, pick
from surplus.studies.plotting import lines
from surplus.studies.reading import exponents
from surplus.studies.study import Study
from surplus.tasks.cifar10 import CIFAR10
from surplus.tasks.classification import Labels
from surplus.tasks.gaussian import Gaussian
from surplus.tasks.mnist import MNIST
from surplus.training import Spec, Training
from surplus.training.moments import AtSteps, EachEpoch
from surplus.training.optimizers import SGD
from surplus.training.probes import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Data = Gaussian | MNIST | CIFAR10
KEYS = ["task", "labels", "scale", "net", "width", "replica"]
COUNTS = ("removable units", "repeated units", "effective units", "units that are not removable")


@register("removable-repeated")
@dataclass(frozen=True, kw_only=True, slots=True)
class RemovableRepeated(Study):
    """Train networks of growing width and count, layer by layer, the units that others make superfluous.

    Removable: the largest share of a layer's units, in random order, without which at least 80 % of the predictions
    stay what they were, times its width. Repeated: the units beyond the principal components that hold 95 % of the
    variance of the layer's outputs, which are its effective units. Beside them stands the number of other units with
    |r| >= 0.5, per unit. Removal is judged on the validation part, outputs on the train part. A layer of several counts
    with its mean over layers. Networks learn Gaussian data, labelled by a linear map or by a network of 32 units, and
    MNIST; with true or random labels; and from smaller or larger initial weights. SGD, momentum 0.9, batch 128.

    Reference: casper2021frivolous, "Methods", and its code; core definitions in `RemovableUnits` and `RepeatedUnits`.
    At the default scale, one hidden layer, 2,000 images of MNIST, constant learning rates and few epochs; the paper
    lowers rates by 5 % per epoch. At full scale, also 10,000 inputs, and AlexNet on CIFAR-10, whose layers are
    other ones there.
    """

    references: ClassVar = ("casper2021frivolous",)
    question: ClassVar = "What becomes of the additional units when a layer is made wider?"
    smoke: ClassVar = {"seeds": 2, "widths": (16, 64), "scales": (0.1, 1.0), "num_epochs": 3}
    full: ClassVar = {
        "seeds": 10,
        "widths": (16, 32, 64, 128, 256, 512, 1024),
        "scales": (0.01, 0.1, 1.0, 10.0),
        "num_inputs": (10, 10_000),
        "num_epochs": 500,
        "longer": 10,
        "num_images": None,
        "multipliers": (0.25, 0.5, 1.0, 2.0, 4.0),
    }

    seeds: int = 5
    """How many replicas."""
    widths: tuple[int, ...] = (16, 64, 256, 1024)
    """The widths of the hidden layer."""
    scales: tuple[float, ...] = (0.1, 1.0, 10.0)
    """What initial weights are multiplied by; 1 is Glorot's standard deviation."""
    num_inputs: tuple[int, ...] = (10,)
    """The inputs of Gaussian data."""
    num_epochs: int = 40
    """The length of training with true labels."""
    longer: int = 3
    """How many times longer random labels are learnt."""
    learning_rate: float = 0.01
    """The published one."""
    num_images: int | None = 2000
    """How many images of MNIST are learnt; None takes all."""
    multipliers: tuple[float, ...] = ()
    """Multipliers of the widths of AlexNet on CIFAR-10; none leaves it out."""

    def arms(self) -> Iterable[Arm]:
        """Yield every width of every task, with random labels, too; and of other initial weights on Gaussian data."""
        for task in self._tasks():
            for width in self.widths:
                # With random labels all teachers teach the same.
                linear = isinstance(task, Gaussian) and task.teacher_units is None
                for random in (False,) if linear else (False, True):
                    yield self._arm(task, MLP(widths=(width,)), width, 1.0, random)
                for scale in self.scales:
                    if scale != 1 and isinstance(task, Gaussian) and task.teacher_units:
                        yield self._arm(task, MLP(widths=(width,)), width, scale, False)
        for factor in self.multipliers:
            for random in (False, True):
                yield self._arm(CIFAR10(), AlexNetSmall(width=factor), factor, 1.0, random)

    def _tasks(self) -> Iterable[Gaussian | MNIST]:
        for inputs in self.num_inputs:
            yield Gaussian(num_inputs=inputs, teacher_units=None)
            yield Gaussian(num_inputs=inputs)
        chosen = None if self.num_images is None else tuple(range(self.num_images))
        yield MNIST(subset=chosen)

    def _arm(self, task: Data, net: Net, width: float, scale: float, random: bool) -> Arm:
        epochs = self.num_epochs * (self.longer if random else 1)
        training = Training(
            optimizer=SGD(learning_rate=self.learning_rate, momentum=0.9),
            num_epochs=epochs,
            snapshots=AtSteps(),
            probes=(Evaluation(at=EachEpoch(every=epochs), parts=("train", "test")),),
        )
        labelled = replace(task, labels=Labels(random=random))
        begun = net if scale == 1 else Rescaled(inner=net, factor=scale)
        drawn = not random and scale == 1 and width in (max(self.widths), *self.multipliers[-1:])
        removable = RemovableUnits(fine=drawn, most_macs=None)
        labels = {
            "task": _named(task),
            "labels": "random" if random else "true",
            "scale": scale,
            "net": net.kind,
            "width": width,
        }
        methods = (
            Measuring(by=(removable, RepeatedUnits(), DeadUnits(), GeneralisationGap())),
            Measuring(by=(RepeatedUnits(), DeadUnits()), at=0),
        )
        return Arm(
            labels=labels, spec=Spec(net=begun, task=labelled, training=training), methods=methods
        )

    @claim(
        "Removable and repeated units together grow at least in proportion to the width.",
        source="casper2021frivolous",
        place="Results, MLPs",
    )
    def superfluous_units_keep_pace(self, found: Found) -> Evidence:
        """The slope of log(removable + repeated) against log(width), fitted to each replica, for every task.

        It holds where the interval lies above 0.95: over six doublings, a slope 0.05 short misses a fifth of the units.
        """
        return _pace(_counts(found), labels="true")

    @claim(
        "They do so when the labels are random, too.",
        source="casper2021frivolous",
        place="Results, random labels",
    )
    def also_with_random_labels(self, found: Found) -> Evidence:
        """As with true labels; whether the network fits them is in the table."""
        return _pace(_counts(found), labels="random")

    @claim(
        "The effective width stays bounded: wider layers need no more principal components.",
        source="casper2021frivolous",
        place="Results, MLPs",
    )
    def effective_width_is_bounded(self, found: Found) -> Evidence:
        """The slope of log(components for 95 % of the variance) over the wider half of the widths, for every task.

        It counts as bounded below 0.1, which is 7 % more per doubling.
        """
        counts = pick(_counts(found), scale=1.0, labels="true")
        rank = counts.groupby("task")["width"].rank("dense", ascending=False)
        wide = counts[rank <= max(2, rank.max() // 2)]
        slopes = {task: _exponents(rows, "effective units") for task, rows in wide.groupby("task")}
        what = "slope of effective on actual width"
        return all_of(
            {
                str(task): below(each, what=what, bound=0.1, among=len(slopes))
                for task, each in slopes.items()
            }
        )

    @claim(
        "Which of the two dominates depends on the initial weights.",
        source="casper2021frivolous",
        place="Results, initialisation",
    )
    def dominance_depends_on_the_start(self, found: Found) -> Evidence:
        """Repeated less removable units, as a share of the widest layer, at the smallest and largest initial weights.

        It holds if one kind is ahead at one end and the other at the other end. Which end is not said beforehand, so
        each test is counted twice.
        """
        counts = _counts(found)
        counts = counts[counts["width"] == counts.groupby("task")["width"].transform("max")]
        counts = pick(counts, labels="true", task=_named(Gaussian(num_inputs=self.num_inputs[0])))
        lead = (counts["repeated units"] - counts["removable units"]) / counts["units"]
        ends = {
            scale: lead[counts["scale"] == scale].tolist()
            for scale in (min(self.scales), max(self.scales))
        }
        low, high = sorted(ends, key=lambda scale: float(numpy.mean(ends[scale])))
        what = "repeated less removable units, share of the layer"
        return all_of(
            {
                f"initial weights x {high:g}": above(ends[high], what=what, among=4),
                f"initial weights x {low:g}": below(ends[low], what=what, among=4),
            }
        )

    @claim(
        "Training makes units repeat each other: more of the widest layer is repeated after it than before.",
        place="the control: wide layers are repetitive from the start",
    )
    def training_adds_repetition(self, found: Found) -> Evidence:
        """The share of repeated units after training less that at initialisation; 5 % of the layer would matter."""
        keys = ["task", "replica"]
        after, before = (
            pick(_counts(found, start), scale=1.0, labels="true").set_index([*keys, "width"])
            for start in (False, True)
        )
        gain = (after["repeated units"] - before["repeated units"]) / after["units"]
        widest = gain.sort_index().groupby(keys).last().groupby("task")
        what = "share of repeated units gained"
        return all_of(
            {
                str(task): above(each, what=what, least=0.05, among=len(widest))
                for task, each in widest
            }
        )

    @claim(
        "Accuracy does not fall as the width grows.",
        source="casper2021frivolous",
        place="Introduction",
    )
    def accuracy_does_not_fall(self, found: Found) -> Evidence:
        """Test accuracy at the greatest width less that at the least, which may be one point lower."""
        counts = pick(_counts(found), scale=1.0, labels="true").sort_values("width")
        by = counts.groupby(["task", "replica"])["test accuracy"]
        gains = (100 * (by.last() - by.first())).groupby("task")
        what = "test accuracy gained, points"
        return all_of(
            {str(task): above(each, what=what, bound=-1, among=len(gains)) for task, each in gains}
        )

    @claim(
        "The published grid of seven points understates how much can be removed.",
        place="the curve after every single removal; asked after a first run of these networks",
    )
    def seven_points_understate(self, found: Found) -> Evidence:
        """Prunability of the widest layers on the whole curve less that on the grid; 2 % of the layer would matter."""
        frame = found["measuring/findings"]
        frame = frame[frame["quantity"].isin(["fine_prunability", "prunability"])]
        frame = pick(frame, scale=1.0, labels="true", width=max(self.widths))
        tasks = frame.groupby("task")
        what = "share of the layer added by the whole curve"
        ends = {"quantity": "fine_prunability"}, {"quantity": "prunability"}
        return all_of(
            {
                str(task): above(
                    paired(rows, "value", *ends), what=what, least=0.02, among=len(tasks)
                )
                for task, rows in tasks
            }
        )

    def tables(self, found: Found) -> Mapping[str, pandas.DataFrame]:
        """Return the counts, means over replicas."""
        counts = _counts(found)
        keys = [each for each in KEYS if each != "replica"]
        return {
            "counts": counts.drop(columns="replica").groupby(keys, sort=False).mean().reset_index()
        }

    def figures(self, found: Found) -> Mapping[str, "Figure"]:
        """Draw the counts against width, and what random removal leaves of the predictions."""
        counts = _counts(found).melt(KEYS, COUNTS, var_name="kind")
        counts = counts.sort_values(["labels", "scale"], ascending=[False, True], kind="stable")
        main = counts[(counts["scale"] == 1) & (counts["value"] > 0)]
        starts = pick(counts, labels="true")
        starts = starts[starts["task"].isin(starts[starts["scale"] != 1]["task"])]
        where = pick(found["measuring/findings"], scale=1.0, labels="true")
        kinds = {
            "fine_agreement": "agreement, after each removal",
            "agreement": "agreement, as published",
            "accuracy": "accuracy",
        }
        curves = where[where["quantity"].isin(kinds)].assign(
            removed=100 * where["at"], kept=100 * where["value"]
        )
        curves["shown"] = curves["quantity"].map(kinds)
        last = curves[curves["width"] == curves.groupby("task")["width"].transform("max")]
        starts = starts.assign(start="initial weights x " + starts["scale"].map("{:g}".format))
        draw = partial(lines, x="width", y="value", by="kind", log="xy", labels=("width", "units"))
        return {
            "counts": draw(main, across=["task", "labels"]),
            "initial-weights": draw(starts[starts["value"] > 0], across="start"),
            "removal": lines(
                last,
                "removed",
                "kept",
                by="shown",
                across=["task", "width"],
                labels=("units removed, %", "examples, %"),
            ),
        }


def _named(task: Data) -> str:
    if not isinstance(task, Gaussian):
        return task.kind
    teacher = "a linear map" if task.teacher_units is None else f"{task.teacher_units} units"
    return f"{task.num_inputs} inputs, {teacher}"


def _counts(found: Found, start: bool = False) -> pandas.DataFrame:
    """Return one row per network with its counts, means over layers; at initialisation without what is removable."""
    frame = found["measuring/findings"]
    place = pandas.MultiIndex.from_frame(frame[["net", "layer"]])
    hidden = place.isin(place[frame["quantity"] == "num_prunable"])  # outputs cannot be removed
    frame = frame[(hidden | frame["layer"].isna()) & ((frame["step"] == 0) == start)]
    quantity = frame["quantity"].mask(
        frame["quantity"] == "pca_width", "pca_width " + frame["at"].astype(str)
    )
    wanted = {
        "pca_width 0.95": "effective units",
        "mean_similarity": "similar units per unit",
        "num_prunable": "removable units",
        "num_constant": "constant units",
        "test_accuracy": "test accuracy",
        "train_accuracy": "train accuracy",
        "num_units": "units",
    }
    frame = frame.assign(quantity=quantity.map(wanted)).dropna(subset="quantity")
    wide = frame.pivot_table("value", KEYS, "quantity", sort=False).reset_index()
    wide["repeated units"] = wide["units"] - wide["effective units"]
    if not start:
        wide["units that are not removable"] = wide["units"] - wide["removable units"]
        wide["superfluous"] = wide["removable units"] + wide["repeated units"]
    return wide


def _exponents(counts: pandas.DataFrame, column: str) -> "pandas.Series[float]":
    """Return how a count grows with width; less than half a unit counts as half a unit."""
    return exponents(counts.assign(**{column: counts[column].clip(lower=0.5)}), "width", column)


def _pace(counts: pandas.DataFrame, labels: str) -> Evidence:
    tasks = pick(counts, scale=1.0, labels=labels).groupby("task")
    what = "slope of removable and repeated units on width"
    return all_of(
        {
            str(task): above(
                _exponents(rows, "superfluous"), what=what, bound=0.95, least=0.05, among=len(tasks)
            )
            for task, rows in tasks
        }
    )
