"""How far the gradients of examples agree, and what is memorised where only their agreement counts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import numpy
import pandas

from surplus.base import register
from surplus.measures import GradientCoherence
from surplus.methods import History, Measuring
from surplus.nets import MLP
from surplus.studies.arm import Arm
from surplus.studies.claim import claim
from surplus.studies.evidence import Evidence, above, all_of, below
from surplus.studies.found import Found, paired, pick
from surplus.studies.plotting import lines
from surplus.studies.study import Study
from surplus.tasks import MNIST, Labels
from surplus.training import Optimizer, Spec, Training
from surplus.training.moments import AtSteps, EachEpoch
from surplus.training.optimizers import SGD, MedianOfThree, RollingMedian, Winsorised
from surplus.training.probes import Memorisation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REAL, HALF, RANDOM = "real", "half changed", "random"
LABELS: Final = {
    REAL: Labels(),
    HALF: Labels(noise=0.5),
    RANDOM: Labels(random=True),
}
PLAIN: Final = SGD(learning_rate=0.1)
ROBUST: Final[Mapping[str, Optimizer]] = {
    "winsorised": Winsorised(inner=PLAIN, num_clipped=2),
    "median of three": MedianOfThree(inner=PLAIN),
    "rolling median": RollingMedian(inner=PLAIN),
}
BATCH: Final = 100
NUM_GRADIENTS: Final = 500
LEAST_POINTS: Final = 2.0
"""A gap that is narrower by less is within what two networks differ by."""


@register("gradient-coherence")
@dataclass(frozen=True, kw_only=True, slots=True)
class CoherentGradients(Study):
    """Measure how far gradients agree on real and on random labels, then train on what most of them agree on.

    Networks with one hidden layer are trained by gradient descent (rate 0.1, batches of 100) on the same images with
    real labels, with half of the labels changed to another class, and with random ones. At epochs 1, 2, 4 and so on
    the coherence of the gradients of 500 training examples is measured: m alpha, how many examples a step along the
    gradient of an average one helps. With half of the labels changed, three robust forms of the gradient are used
    instead, for as many steps on the same batches: the mean with the two largest and smallest values of each coordinate
    clipped, the median of three groups, and the median of three batches in succession. What they memorise is the
    accuracy on changed examples with respect to the changed labels.

    Reference: chatterjee2022generalization, on measuring coherence and on suppressing what few examples ask for;
    chatterjee2020making for random labels.
    The default scale is 2,000 images of MNIST and a narrow layer, where the sources train large networks on ImageNet.
    At initialisation all gradients share what the network errs in for all images, so that step is left out.
    """

    references: ClassVar = ("chatterjee2022generalization", "chatterjee2020making")
    question: ClassVar = (
        "Do gradients of examples agree where there is something to learn, and is the rest memory?"
    )
    smoke: ClassVar = {"seeds": 2, "num_examples": 500, "num_epochs": 10, "width": 32}
    full: ClassVar = {"seeds": 10, "num_examples": 50_000, "num_epochs": 60, "width": 2048}

    seeds: int = 5
    """How many replicas."""
    width: int = 64
    """The units of the hidden layer."""
    num_examples: int = 2000
    """How many training images."""
    num_epochs: int = 30
    """How long each network is trained."""

    def arms(self) -> Iterable[Arm]:
        """Return gradient descent on each kind of labels, then robust gradients on half changed ones."""
        per_epoch = self.num_examples // BATCH
        epochs = [1 << power for power in range(self.num_epochs.bit_length())]
        measured = tuple(epoch * per_epoch for epoch in epochs)
        history = History(event="memorisation")
        coherence = tuple(
            Measuring(
                by=(GradientCoherence(num_examples=NUM_GRADIENTS),),
                at=step,
                num_examples=NUM_GRADIENTS,
            )
            for step in measured
        )
        for labels in LABELS:
            yield Arm(
                labels={"labels": labels, "gradients": "mean"},
                spec=self._spec(labels, PLAIN, measured),
                methods=(history, *coherence),
            )
        for name, optimizer in ROBUST.items():
            yield Arm(
                labels={"labels": HALF, "gradients": name},
                spec=self._spec(HALF, optimizer, ()),
                methods=(history,),
            )

    def _spec(self, labels: str, optimizer: Optimizer, kept: tuple[int, ...]) -> Spec:
        return Spec(
            net=MLP(widths=(self.width,)),
            task=MNIST(subset=tuple(range(self.num_examples)), labels=LABELS[labels]),
            training=Training(
                optimizer=optimizer,
                batch_size=BATCH,
                num_epochs=self.num_epochs,
                snapshots=AtSteps(given=kept),
                probes=(Memorisation(at=EachEpoch(every=max(1, self.num_epochs // 10))),),
            ),
        )

    @claim(
        "Early in training, gradients cohere far more on real labels than on random ones.",
        source="chatterjee2022generalization",
        place="the coherence of real and of random data sets",
    )
    def real_labels_cohere(self, found: Found) -> Evidence:
        """How often m alpha doubles from random to real labels, averaged over the first eight epochs.

        Paired by replica. "Far more" is at least twice as much: one doubling.
        """
        frame = _coherence(found)
        early = frame[frame["step"] <= 8 * self.num_examples // BATCH]
        doublings = paired(early, "log_2", {"labels": REAL}, {"labels": RANDOM})
        return above(doublings, what="real against random labels, doublings of m alpha", bound=1.0)

    @claim(
        "Even on random labels gradients come to cohere: a step for one example helps others.",
        source="chatterjee2020making",
        place="the abstract",
    )
    def random_labels_cohere_too(self, found: Found) -> Evidence:
        """The largest m alpha on random labels after the first epoch; 1 is what orthogonal gradients have.

        It has to be 2 at least: that an average example helps one other as much as itself.
        """
        rows = pick(_coherence(found), labels=RANDOM)
        highest = rows.groupby("replica")["value"].max()
        return above(highest, what="largest m alpha on random labels", bound=2.0)

    @claim(
        "Winsorised gradients memorise less, at equal steps.",
        source="chatterjee2022generalization",
        place="winsorised gradients",
    )
    def winsorised_memorises_less(self, found: Found) -> Evidence:
        """The gap between memorised and test accuracy, averaged over the evaluations, against plain gradients.

        Both accuracies are in points, with half of the labels changed; paired by replica. Two points less at least.
        """
        return _narrower(found, "winsorised")

    @claim(
        "The median of three groups' gradients memorises less, at equal steps.",
        source="chatterjee2022generalization",
        place="the median of three groups, M3",
    )
    def median_of_three_memorises_less(self, found: Found) -> Evidence:
        """The gap between memorised and test accuracy, as for winsorised gradients."""
        return _narrower(found, "median of three")

    @claim(
        "The median of the last three gradients memorises less, at equal steps.",
        source="chatterjee2022generalization",
        place="the rolling median of three, RM3",
    )
    def rolling_median_memorises_less(self, found: Found) -> Evidence:
        """The gap between memorised and test accuracy, as for winsorised gradients."""
        return _narrower(found, "rolling median")

    @claim(
        "Each of the three robust gradients generalises better in the end than the mean does.",
        source="chatterjee2022generalization",
        place="the abstract",
    )
    def robust_gradients_generalise(self, found: Found) -> Evidence:
        """Test accuracy at the last step in points, with half of the labels changed, paired by replica.

        A gain of half a point at least would matter; each of the three has to make it.
        """
        frame = pick(_memorised(found), labels=HALF)
        end = frame[frame["step"] == frame["step"].max()]
        return all_of(
            {
                name: above(
                    paired(end, "test", {"gradients": name}, {"gradients": "mean"}),
                    what="gain in test accuracy, points",
                    least=0.5,
                    among=len(ROBUST),
                )
                for name in ROBUST
            }
        )

    def tables(self, found: Found) -> Mapping[str, pandas.DataFrame]:
        """Return the coherence at each step, and all accuracies at the last one."""
        coherence = _coherence(found).groupby(["labels", "step"], sort=False)["value"]
        memorised = _memorised(found)
        end = memorised[memorised["step"] == memorised["step"].max()]
        names = ["clean", "memorised", "healed", "test"]
        return {
            "coherence": coherence.agg(m_alpha="mean", n="count").reset_index(),
            "memorised": end.groupby(["labels", "gradients"], sort=False)[names]
            .mean()
            .reset_index(),
        }

    def figures(self, found: Found) -> Mapping[str, "Figure"]:
        """Draw the coherence and, for each form of the gradient, what is learnt and what is memorised."""
        memorised = pick(_memorised(found), labels=HALF).melt(
            id_vars=["gradients", "replica", "step"],
            value_vars=["clean", "memorised", "healed", "test"],
            var_name="judged on",
            value_name="accuracy",
        )
        return {
            "coherence": lines(
                _coherence(found),
                x="step",
                y="value",
                by="labels",
                labels=("step", "examples helped, m alpha"),
                log="xy",
            ),
            "memorised": lines(
                memorised,
                x="step",
                y="accuracy",
                by="judged on",
                across="gradients",
                labels=("step", "accuracy, %"),
                share_y=True,
                columns=4,
            ),
        }


def _coherence(found: Found) -> pandas.DataFrame:
    """Return m alpha of whole networks, with its logarithm to base 2."""
    frame = found.quantity("m_alpha")
    whole = frame[frame["layer"].isna()]
    return whole.assign(log_2=numpy.log2(whole["value"].astype(float)))


def _memorised(found: Found) -> pandas.DataFrame:
    """Return the accuracies in points and the gap between memorised and test accuracy."""
    frame = found["history/events"]
    names = ["clean", "memorised", "healed", "test"]
    for name in names:
        frame[name] = 100 * frame[f"{name}_accuracy"].astype(float)
    return frame.assign(gap=frame["memorised"] - frame["test"])


def _narrower(found: Found, name: str) -> Evidence:
    """Test whether a robust gradient's gap is narrower than that of the mean, over all evaluations but the first."""
    frame = pick(_memorised(found), labels=HALF)
    trained = frame[frame["step"] > 0]
    widened = paired(trained, "gap", {"gradients": name}, {"gradients": "mean"})
    return below(widened, what="change of the gap, points", least=LEAST_POINTS)
