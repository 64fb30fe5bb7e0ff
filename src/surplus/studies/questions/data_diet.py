"""Which half of the training examples a network needs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import pandas

from surplus.base import Net, Task, register
from surplus.methods import DataDiet
from surplus.nets import LeNet300100, ResNet18, ResNetCIFAR
from surplus.studies.arm import Arm
from surplus.studies.claim import claim
from surplus.studies.evidence import Evidence, above
from surplus.studies.found import Found, paired
from surplus.studies.plotting import COLOURS, panels
from surplus.studies.study import Study
from surplus.tasks import CIFAR10, FashionMNIST
from surplus.training import Spec, Training
from surplus.training.moments import AtSteps
from surplus.training.optimizers import SGD
from surplus.training.schedules import StepDecay

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TENTH: Final = 45
"""How many steps are a tenth of an epoch of 45,000 examples."""


@register("data-diet")
@dataclass(frozen=True, kw_only=True, slots=True)
class HalfTheExamples(Study):
    """Score training examples by EL2N after a tenth of training, remove half of them, and train anew on the rest.

    EL2N is the length of the error of the probabilities, averaged over several networks. Kept are the examples of the
    highest score: the hardest. Beside them stand training on all examples, on a random half, on the half with the
    longest inputs, and on the half that networks of another shape find hardest. All take as many steps. Each replica
    has scoring networks and a random half of its own.

    Reference: paul2021deep, Sections 2 and 3; kirsch2023does for the length of the input.
    The default scale is a narrow LeNet-300-100 on Fashion-MNIST with SGD, rate 0.05 and momentum 0.9; the sources train
    ResNet-18 on CIFAR-10 for 200 epochs, with shifts and flips of images, which are left out here. The rate falls to a
    fifth at 0.3, 0.6 and 0.8 of the run, as theirs does: with a constant one, networks of a first single replica whose
    halves shared 94 % of their examples ended 2.5 points apart.
    """

    references: ClassVar = ("paul2021deep", "kirsch2023does")
    question: ClassVar = (
        "Can half of the training examples be left out, if early errors tell which?"
    )
    smoke: ClassVar = {"seeds": 2, "num_epochs": 2, "num_scorers": 2}
    full: ClassVar = {
        "seeds": 4,
        "net": ResNet18(),
        "other": ResNetCIFAR(depth=20),
        "task": CIFAR10(),
        "num_epochs": 200,
        "num_scorers": 10,
    }

    seeds: int = 4
    """How many replicas."""
    net: Net = LeNet300100(width=0.5)
    """The network."""
    other: Net = LeNet300100(width=0.2)
    """The network of another shape."""
    task: Task = FashionMNIST()
    """The data set."""
    num_epochs: int = 10
    """How long a network is trained on all examples; those on a half take as many steps."""
    num_scorers: int = 5
    """Over how many networks a score is averaged."""

    def arms(self) -> Iterable[Arm]:
        """Return the one network trained on all examples; the method trains the others."""
        training = Training(
            optimizer=SGD(learning_rate=0.05, momentum=0.9),
            batch_size=100,
            num_epochs=self.num_epochs,
            schedule=StepDecay(milestones=(0.3, 0.6, 0.8), factor=0.2),
            snapshots=AtSteps(),
            probes=(),
        )
        yield Arm(
            labels={"net": self.net.kind},
            spec=Spec(net=self.net, task=self.task, training=training),
            methods=(
                DataDiet(
                    at=TENTH * self.num_epochs, num_scorers=self.num_scorers, other=self.other
                ),
            ),
        )

    @claim(
        "The half of the training set with the highest EL2N scores is as good as the whole.",
        source="paul2021deep",
        place="the abstract; Section 3, CIFAR-10",
    )
    def half_is_enough(self, found: Found) -> Evidence:
        """Test accuracy after training on the hardest half less that on all examples, in points, paired by replica.

        No more than half a point may be lost, which is what two networks differ by.
        """
        return above(
            _gain(found, "el2n", "all"),
            what="test accuracy against all examples, points",
            bound=-0.5,
        )

    @claim(
        "Examples chosen by EL2N are better than as many random ones.",
        source="paul2021deep",
        place="Section 3, CIFAR-10",
    )
    def better_than_random(self, found: Found) -> Evidence:
        """Test accuracy against a random half, in points, paired by replica; a fifth of a point would matter."""
        return above(
            _gain(found, "el2n", "random"),
            what="test accuracy against a random half, points",
            least=0.2,
        )

    @claim(
        "Examples chosen by EL2N are better than those with the longest inputs.",
        source="kirsch2023does",
        place="the comparison with the input's norm",
    )
    def better_than_input_norm(self, found: Found) -> Evidence:
        """Test accuracy against the half of the longest inputs, in points; a fifth of a point would matter."""
        return above(
            _gain(found, "el2n", "input norm"),
            what="test accuracy against the longest inputs, points",
            least=0.2,
        )

    @claim(
        "Scores carry over: those of networks of another shape choose as well as the network's own.",
        source="paul2021deep",
        place="Section 3, scores of another architecture",
    )
    def scores_carry_over(self, found: Found) -> Evidence:
        """Test accuracy with the other networks' scores less that with the network's own, in points.

        No more than a quarter of a point may be lost, half of what a half itself may lose.
        """
        return above(
            _gain(found, "el2n of another", "el2n"),
            what="test accuracy with another network's scores, points",
            bound=-0.25,
        )

    def tables(self, found: Found) -> Mapping[str, pandas.DataFrame]:
        """Return the accuracies by what was trained on, and how far scores agree with EL2N."""
        accuracies = found["data-diet/accuracies"].groupby("trained_on", sort=False)
        agreement = found["data-diet/agreement"].groupby("score", sort=False)
        return {
            "accuracies": accuracies.agg(
                num_examples=("num_examples", "first"),
                test_accuracy=("test_accuracy", "mean"),
                spread=("test_accuracy", "std"),
                n=("test_accuracy", "count"),
            ).reset_index(),
            "agreement": agreement[["rank_correlation", "kept_share"]].mean().reset_index(),
        }

    def figures(self, found: Found) -> Mapping[str, "Figure"]:
        """Draw the test accuracy by what was trained on: each replica, and the mean."""
        frame = found["data-diet/accuracies"]
        figure, (axis,) = panels(1, width=4.8)
        for place, (_, rows) in enumerate(frame.groupby("trained_on", sort=False)):
            accuracies = 100 * rows["test_accuracy"]
            axis.plot(accuracies, [place] * len(rows), "o", color=COLOURS[0], markersize=4)
            axis.plot(accuracies.mean(), place, "|", color=COLOURS[1], markersize=16)
        names = list(dict.fromkeys(frame["trained_on"]))
        axis.set_yticks(range(len(names)), names)
        axis.invert_yaxis()
        axis.set_xlabel("test accuracy, %")
        return {"accuracies": figure}


def _gain(found: Found, some: str, other: str) -> "pandas.Series[float]":
    frame = found["data-diet/accuracies"]
    return 100 * paired(frame, "test_accuracy", {"trained_on": some}, {"trained_on": other})
