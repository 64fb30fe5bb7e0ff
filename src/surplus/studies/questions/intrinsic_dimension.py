"""How many directions a task takes, in networks of growing width."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import numpy
import pandas

from surplus.base import register
from surplus.methods import IntrinsicDimension
from surplus.nets import MLP
from surplus.studies.arm import Arm
from surplus.studies.claim import claim
from surplus.studies.evidence import Evidence, above, all_of, below, undecided
from surplus.studies.found import Found, paired, pick
from surplus.studies.plotting import lines
from surplus.studies.reading import exponents
from surplus.studies.study import Study
from surplus.tasks import MNIST, Labels
from surplus.training import Spec, Training
from surplus.training.moments import AtSteps
from surplus.training.optimizers import Adam

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLAT: Final = 0.25
"""The slope of log d on log D that still counts as flat: sixteen times the parameters, twice the directions."""
LOG_2: Final = float(numpy.log(2))
LEARN, FIT, MEMORISE = "learn", "fit", "memorise"


@register("intrinsic-dimension")
@dataclass(frozen=True, kw_only=True, slots=True)
class IntrinsicDimensionOfTasks(Study):
    """Search the least dimension d of a random subspace in which dense networks get to 90 % of their accuracy.

    The networks have two hidden layers of one width and D parameters; all of them are trained by Adam, at 1e-3 where
    all parameters move and at 1e-2 where d coordinates do. Three things are asked of the same networks: to *learn* real
    labels, judged on validation; to *fit* them, judged on the training examples; and to *memorise* random labels of the
    same images, judged likewise. Each replica has a baseline, a subspace and a search of its own.

    Reference: li2018intrinsic, Section 3.
    The default scale is 500 images of MNIST for 50 epochs, where the source trains on all; dimensions are exact to
    20 %. The source varies depth, too, and tunes the learning rate of each training, which is one rate here.
    """

    references: ClassVar = ("li2018intrinsic",)
    question: ClassVar = "Does a wider network need more directions to learn the same task?"
    smoke: ClassVar = {"seeds": 2, "widths": (25, 50), "num_examples": 200, "num_epochs": 30}
    full: ClassVar = {"widths": (50, 100, 200, 400), "num_examples": None}

    seeds: int = 4
    """How many replicas."""
    widths: tuple[int, ...] = (25, 50, 100, 200)
    """The units of each hidden layer."""
    num_examples: int | None = 500
    """How many training images; None takes all."""
    num_epochs: int = 50
    """How long each network is trained, in a subspace or not."""

    def arms(self) -> Iterable[Arm]:
        """Return three arms for each width; the first two share their networks."""
        for width in self.widths:
            for asked, random, part in (
                (LEARN, False, "validation"),
                (FIT, False, "train"),
                (MEMORISE, True, "train"),
            ):
                yield Arm(
                    labels={"asked": asked, "width": width},
                    spec=self.spec(width, random),
                    methods=(
                        IntrinsicDimension(
                            num_replicas=1,
                            optimizer=Adam(learning_rate=1e-2),
                            first=512 if random else 128,
                            tolerance=0.2,
                            part=part,
                        ),
                    ),
                )

    def spec(self, width: int, random: bool) -> Spec:
        """Return how a network is trained with all its parameters."""
        subset = None if self.num_examples is None else tuple(range(self.num_examples))
        return Spec(
            net=MLP(widths=(width, width)),
            task=MNIST(subset=subset, labels=Labels(random=random)),
            training=Training(
                optimizer=Adam(learning_rate=1e-3),
                batch_size=50,
                num_epochs=self.num_epochs,
                snapshots=AtSteps(),
                probes=(),
            ),
        )

    @claim(
        "The number of directions that a task takes stays nearly constant while the network grows.",
        source="li2018intrinsic",
        place="Section 3, Figure 3",
    )
    def constant_in_width(self, found: Found) -> Evidence:
        """The slope of log d on log D over the widths, for each replica, d judged on validation.

        It has to lie between -0.25 and 0.25: sixteen times the parameters, no more than twice or half the directions.
        """
        return _flat(found, LEARN)

    @claim(
        "Nor does the number of directions that memorising random labels takes depend on the width.",
        place="the same question, of what cannot be learnt",
    )
    def constant_for_random_labels(self, found: Found) -> Evidence:
        """The slope of log d on log D as before, d judged on the training examples with random labels."""
        return _flat(found, MEMORISE)

    @claim(
        "Memorising random labels takes many more directions than fitting the real labels of the same images.",
        source="li2018intrinsic",
        place="Section 3, the experiment with shuffled labels",
    )
    def random_labels_take_more(self, found: Found) -> Evidence:
        """How often d doubles from real to random labels, in the widest network, paired by replica.

        Fewer than twice as many directions would not be many: at least one doubling.
        """
        frame = _reached(found)
        widest = frame[frame["width"] == max(self.widths)]
        doublings = paired(widest, "log_dimension", {"asked": MEMORISE}, {"asked": FIT}) / LOG_2
        return above(doublings, what="random against real labels, doublings of d", bound=1.0)

    def tables(self, found: Found) -> Mapping[str, pandas.DataFrame]:
        """Return the mean dimensions with the numbers of parameters."""
        frame = found["intrinsic-dimension/dimensions"]
        means = frame.groupby(["asked", "width"], sort=False).agg(
            num_parameters=("num_parameters", "first"),
            dimension=("dimension", "mean"),
            least=("dimension", "min"),
            largest=("dimension", "max"),
            n=("dimension", "count"),
        )
        return {"dimensions": means.reset_index()}

    def figures(self, found: Found) -> Mapping[str, "Figure"]:
        """Draw d against D, and the accuracies from which d was read."""
        curve = found["intrinsic-dimension/curve"].dropna(subset=["dimension"])
        judged = curve["train_accuracy"].fillna(curve["validation_accuracy"])
        labels = ("parameters, D", "directions, d")
        return {
            "dimensions": lines(
                found["intrinsic-dimension/dimensions"].dropna(subset=["dimension"]),
                x="num_parameters",
                y="dimension",
                by="asked",
                labels=labels,
                log="xy",
            ),
            "accuracies": lines(
                curve.assign(accuracy=judged),
                x="dimension",
                y="accuracy",
                by="width",
                across="asked",
                labels=("directions, d", "accuracy"),
                log="x",
                share_y=True,
            ),
        }


def _reached(found: Found) -> pandas.DataFrame:
    """Return one row for each network, with the logarithms; that of d is NaN where no d was enough."""
    frame = found["intrinsic-dimension/dimensions"]
    for name in ("dimension", "num_parameters"):
        frame[f"log_{name}"] = numpy.log(frame[name].astype(float))
    return frame


def _flat(found: Found, asked: str) -> Evidence:
    """Test whether the slope of log d on log D lies within `FLAT` of none."""
    frame = pick(_reached(found), asked=asked)
    what = "slope of log d on log D"
    if frame["width"].nunique() < 2:
        return undecided(what, "a slope takes two widths or more")
    slopes = exponents(frame, "num_parameters", "dimension")
    return all_of(
        {
            "not rising": below(slopes, what=what, bound=FLAT, among=2),
            "not falling": above(slopes, what=what, bound=-FLAT, among=2),
        }
    )
