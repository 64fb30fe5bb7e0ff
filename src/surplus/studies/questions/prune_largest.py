"""Prune the largest: is pruning a noise signal?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import pandas

from surplus.base import Intervention, register
from surplus.methods.history import History
from surplus.scores.random import Random
from surplus.studies.arm import Arm
from surplus.studies.claim import claim
from surplus.studies.evidence import Evidence, above, all_of, below
from surplus.studies.found import Found, paired, pick
from surplus.studies.plotting import lines
from surplus.studies.study import Study
from surplus.training import Spec, Training, recipe
from surplus.training.interventions.pruning import Pruning
from surplus.training.interventions.pruning_noise import PruningNoise
from surplus.training.moments.at_steps import AtSteps
from surplus.training.probes.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST = 0.25
"""The smallest difference that counts, in points: 25 of the 10,000 test images."""
UNITS = "lowest", "highest", "random"
UNTOUCHED = {"units": "none", "done": "nothing"}


@register("prune-largest")
@dataclass(frozen=True, kw_only=True, slots=True)
class PruneLargest(Study):
    """Remove the units of largest norm, of smallest norm, or random ones in mid-training, and train on to the end.

    Half of the units of every hidden layer go at once. Beside each pruned network stands one in which nothing is
    removed: the weights that would have gone get Gaussian noise instead, in each tensor of the norm of what would have
    been set to zero. All networks of a seed share the start, the batches and the number of updates with one that is
    left alone. If pruning regularises because it disturbs, the larger disturbance should end higher, and noise on the
    same weights should end where pruning does. Differences below 0.25 points count as none.

    Reference: bartoldson2020generalization, Section 4.
    The default is LeNet-300-100 on MNIST with the optimiser of its recipe; the source prunes VGG-11 and ResNets on
    CIFAR-10 in many small portions, and its noise acts again in every step. At full scale the network is VGG-11.
    """

    references: ClassVar = ("bartoldson2020generalization",)
    question: ClassVar = (
        "Does pruning help generalisation because it disturbs, whatever it removes?"
    )
    smoke: ClassVar = {"seeds": 2, "num_steps": 60}
    full: ClassVar = {"seeds": 10, "net": "vgg11-cifar10", "num_steps": 56_160}

    seeds: int = 5
    """How many networks each arm has."""
    net: str = "lenet-mnist"
    """The recipe of net, task and optimiser."""
    num_steps: int = 2400
    """The length of training in updates, with or without pruning."""
    moment: float = 0.5
    """When to remove, as a fraction of the training."""
    sparsity: float = 0.5
    """The fraction of each hidden layer's units that goes."""

    def arms(self) -> Iterable[Arm]:
        """Return seven arms: three choices of units, pruned or disturbed, and the network that is left alone."""
        yield self._arm(UNTOUCHED)
        for units in UNITS:
            pruning = self._pruning(units)
            yield self._arm({"units": units, "done": "pruned"}, pruning)
            yield self._arm({"units": units, "done": "noise"}, PruningNoise(instead_of=pruning))

    @property
    def step(self) -> int:
        """The step at which units go."""
        return round(self.moment * self.num_steps)

    @claim(
        "Pruning the largest units disturbs a network more than pruning the smallest.",
        source="bartoldson2020generalization",
        place="Section 4, where stability is the accuracy kept at the moment of pruning",
    )
    def the_largest_disturb_most(self, found: Found) -> Evidence:
        """The test accuracy right after the removal, paired by seed."""
        return self._difference(found, "lowest", "highest", self.step, "difference, points")

    @claim(
        "After training on, networks that lost the largest units generalise better than those that lost the smallest.",
        source="bartoldson2020generalization",
        place="Section 4, the generalisation-stability tradeoff",
    )
    def pruning_the_largest_generalises_better(self, found: Found) -> Evidence:
        """The test accuracy in the end, paired by seed."""
        what = "gain of pruning the largest, points"
        return self._difference(found, "highest", "lowest", self.num_steps, what)

    @claim(
        "Pruning the largest units and training on generalises better than training without pruning.",
        source="bartoldson2020generalization",
        place="Section 4, pruning as regularisation",
    )
    def pruning_regularises(self, found: Found) -> Evidence:
        """The test accuracy in the end, paired by seed."""
        ends = _at(found, self.num_steps)
        gain = paired(ends, "test_accuracy", {"units": "highest", "done": "pruned"}, UNTOUCHED)
        return above(100 * gain, least=LEAST, what="gain over no pruning, points")

    @claim(
        "Pruning is a noise signal: noise of its size on the same weights ends at the same accuracy.",
        source="bartoldson2020generalization",
        place="Section 4, pruning regularises similarly to noise injection",
    )
    def noise_does_the_same(self, found: Found) -> Evidence:
        """Pruned and disturbed networks end within 0.25 points of each other, for all three choices of units."""
        ends = _at(found, self.num_steps)
        parts = {}
        for units in UNITS:
            pruned, noise = ({"units": units, "done": done} for done in ("pruned", "noise"))
            gain = 100 * paired(ends, "test_accuracy", noise, pruned)
            what = "gain of noise over pruning, points"
            parts[f"{units}, not more"] = below(gain, bound=LEAST, what=what, among=6)
            parts[f"{units}, not less"] = above(gain, bound=-LEAST, what=what, among=6)
        return all_of(parts)

    @claim(
        "Noise on the largest units generalises better than on the smallest, as pruning them is said to.",
        place="that a disturbance, if it is what helps, should help without any removal",
    )
    def larger_noise_generalises_better(self, found: Found) -> Evidence:
        """The test accuracy in the end, paired by seed."""
        what = "gain of noise on the largest, points"
        return self._difference(found, "highest", "lowest", self.num_steps, what, done="noise")

    def tables(self, found: Found) -> Mapping[str, pandas.DataFrame]:
        """Return the test accuracy right after the disturbance and in the end, in percent."""
        events = found["history/events"]
        events["moment"] = events["step"].map({self.step: "right after", self.num_steps: "end"})
        grouped = events.groupby(["units", "done", "moment"], sort=False)["test_accuracy"]
        summary = (100 * grouped.agg(["mean", "std"])).assign(n=grouped.count())
        return {"accuracy": summary.reset_index()}

    def figures(self, found: Found) -> Mapping[str, "Figure"]:
        """Draw the accuracy from the disturbance on, with the network that was left alone in every panel."""
        events = found["history/events"]
        events = events[events["step"] >= self.step]
        alone = pick(events, **UNTOUCHED)
        touched = events[events["units"] != "none"]
        frame = pandas.concat([touched, *(alone.assign(units=units) for units in UNITS)])
        frame["panel"] = "units: " + frame["units"]
        labels = "step", "test accuracy"
        return {
            "accuracy": lines(
                frame, "step", "test_accuracy", by="done", across="panel", labels=labels
            )
        }

    def _arm(self, labels: Mapping[str, str], *interventions: Intervention) -> Arm:
        return Arm(labels=labels, spec=self._spec(interventions), methods=(History(),))

    def _spec(self, interventions: tuple[Intervention, ...]) -> Spec:
        published = recipe(self.net)
        rest = self.num_steps - self.step
        looks = tuple(self.step + round(share * rest) for share in (0, 0.02, 0.1, 0.3, 0.6, 1))
        training: Training = replace(
            published.training,
            num_epochs=None,
            num_steps=self.num_steps,
            snapshots=AtSteps(),
            probes=(Evaluation(at=AtSteps(given=looks)),),
        )
        return replace(published, training=training, interventions=interventions)

    def _pruning(self, units: str) -> Pruning:
        pruning = Pruning(
            sparsity=self.sparsity, first=self.step, last=self.step, highest=units == "highest"
        )
        return replace(pruning, score=Random()) if units == "random" else pruning

    def _difference(
        self, found: Found, some: str, other: str, step: int, what: str, done: str = "pruned"
    ) -> Evidence:
        looked = _at(found, step)
        one, two = ({"units": units, "done": done} for units in (some, other))
        gain = 100 * paired(looked, "test_accuracy", one, two)
        return above(gain, least=LEAST, what=what)


def _at(found: Found, step: int) -> pandas.DataFrame:
    return pick(found["history/events"], step=step)
