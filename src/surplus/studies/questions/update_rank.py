"""Update rank: in how many directions a dense network learns, and whether these are as many as its classes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import pandas

from surplus.base import Task, register
from surplus.measures import LowRankAccuracy, Spectrum
from surplus.methods import Measuring
from surplus.nets import MLP
from surplus.studies.arm import Arm
from surplus.studies.claim import claim
from surplus.studies.evidence import Evidence, above, all_of, below
from surplus.studies.found import Found, paired, pick
from surplus.studies.plotting import lines
from surplus.studies.reading import exponents
from surplus.studies.study import Study
from surplus.tasks import MNIST, FashionMNIST, Joined
from surplus.training import Spec, Training
from surplus.training.moments import AtSteps
from surplus.training.optimizers import SGD

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RANKS: Final = (1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 16, 19, 20, 24, 32, 48)
ENOUGH: Final = 16
TOLERANCE: Final = 1.0
NAMES: Final = {
    "truncated_weight_accuracy": "W_k",
    "truncated_update_accuracy": "Z + D_k",
    "update_residual_accuracy": "Z + D - D_k",
    "random_update_accuracy": "Z + k random of D",
}


@register("update-rank")
@dataclass(frozen=True, kw_only=True, slots=True)
class UpdateRank(Study):
    """Replace what training added by what is left of it on k directions, and judge the network on 1,000 test images.

    Dense networks without biases learn 4,096 images of 2, 5, 10 and 20 classes (digits; for 20 classes MNIST and
    Fashion-MNIST as one task) by SGD of rate 0.1 and batches of 64. With W = Z + D, Z the weights at initialisation,
    four networks are judged for each k: with W_k, with Z + D_k, with Z + D - D_k, and, as a control, with D projected
    on k random directions; layer by layer, and all layers together. The knee is the least k tried whose accuracy, all
    layers together, is within one point of the whole network's.

    Reference: nagarajan2019uniform, Section 3 and the code of its experiments.
    There five layers of width 1,024, one sigmoid per class, images drawn with replacement, and an end when 99 % of the
    images have a margin of 10; here cross-entropy, images drawn without, and a fixed length.
    """

    references: ClassVar = ("nagarajan2019uniform",)
    question: ClassVar = "In how many directions does a network learn: as many as it has classes?"
    smoke: ClassVar = {"seeds": 2, "num_epochs": 5, "num_classes": (2, 10)}
    full: ClassVar = {"seeds": 10, "widths": (1024,) * 5, "num_epochs": 100}

    seeds: int = 5
    """How many replicas."""
    widths: tuple[int, ...] = (256, 256, 256)
    """The hidden layers."""
    num_classes: tuple[int, ...] = (2, 5, 10, 20)
    """The numbers of classes."""
    num_examples: int = 4096
    """How many images are learnt."""
    num_epochs: int = 15
    """How long each network is trained."""

    def arms(self) -> Iterable[Arm]:
        """Yield an arm for each number of classes."""
        training = Training(
            optimizer=SGD(learning_rate=0.1),
            batch_size=64,
            num_epochs=self.num_epochs,
            snapshots=AtSteps(),
            probes=(),
        )
        by = (LowRankAccuracy(ranks=RANKS, num_draws=1), Spectrum(ranks=RANKS))
        for num in self.num_classes:
            yield Arm(
                labels={"classes": num},
                spec=Spec(
                    net=MLP(widths=self.widths, bias=False),
                    task=_task(num, self.num_examples),
                    training=training,
                ),
                methods=(Measuring(by=by, part="test", num_examples=1000),),
            )

    @claim(
        "The sixteen leading directions of what training added, in every layer at once, keep the test accuracy.",
        source="nagarajan2019uniform",
        place="code of the experiments",
    )
    def few_directions_suffice(self, found: Found) -> Evidence:
        """Accuracy of the whole network minus that with Z + D_16, ten classes; a point may be lost."""
        frame = _together(found, "truncated_update_accuracy", classes=10, at=float(ENOUGH))
        return below(frame["lost"], what="accuracy lost, points", bound=TOLERANCE)

    @claim(
        "Sixteen random directions of what training added do not.",
        place="control of the projection",
    )
    def random_directions_do_not(self, found: Found) -> Evidence:
        """The gain of the leading over random directions, all layers together; five points would matter."""
        frame = _curves(found)
        chosen = pick(frame[frame["layer"].isna()], classes=10, at=float(ENOUGH))
        gain = paired(
            chosen,
            "value",
            {"quantity": "truncated_update_accuracy"},
            {"quantity": "random_update_accuracy"},
        )
        return above(100 * gain, what="gain over random directions, points", least=5)

    @claim(
        "The update is of lower rank than the weights: truncated to ten directions, W loses more accuracy than W - Z.",
        place="control of the projection",
    )
    def updates_are_simpler(self, found: Found) -> Evidence:
        """Accuracy with Z + D_10 minus that with W_10 of the first layer, ten classes; a point would matter."""
        chosen = pick(_curves(found), layer="fc1", classes=10, at=10.0)
        gain = paired(
            chosen,
            "value",
            {"quantity": "truncated_update_accuracy"},
            {"quantity": "truncated_weight_accuracy"},
        )
        return above(100 * gain, what="gain of truncating the update, points", least=1)

    @claim(
        "What is left out can be large although the accuracy does not change.",
        source="nagarajan2019uniform",
        place="Section 3, on the spectral norm of the distance from initialisation",
    )
    def the_rest_is_large(self, found: Found) -> Evidence:
        """The spectral norm of D - D_16 over that of D, second layer, ten classes; a twentieth would be large."""
        removed = pick(
            found.quantity("removed_update_spectral_norm"),
            layer="fc2",
            classes=10,
            at=float(ENOUGH),
        )
        whole = pick(found.quantity("update_spectral_norm"), layer="fc2", classes=10)
        share = removed.set_index("replica")["value"] / whole.set_index("replica")["value"]
        return above(share, what="share of the update's spectral norm", bound=0.05)

    @claim(
        "The number of directions that the accuracy needs grows with the number of classes.",
        place="whether the knee is the number of classes",
    )
    def knee_grows_with_classes(self, found: Found) -> Evidence:
        """The slope of log knee over log classes in each replica: 1 in proportion; 0.5, a square root, matters."""
        slopes = exponents(knees(found), "classes", "knee")
        return above(slopes, what="slope of log knee over log classes", least=0.5)

    @claim(
        "That number is the number of classes.",
        place="whether the knee is the number of classes",
    )
    def knee_is_the_number_of_classes(self, found: Found) -> Evidence:
        """|knee - classes| for every number of classes: less than 1.5 on average, which C - 1 also fulfils."""
        groups = {f"{num} classes": rows for num, rows in knees(found).groupby("classes")}
        return all_of(
            {
                name: below(
                    (rows["knee"] - rows["classes"]).abs(),
                    what="distance of the knee from the number of classes",
                    bound=1.5,
                    among=len(groups),
                )
                for name, rows in groups.items()
            }
        )

    def tables(self, found: Found) -> Mapping[str, pandas.DataFrame]:
        """Return the knees of all layers together."""
        by_classes = knees(found).groupby("classes")
        table = by_classes.agg(
            accuracy=("accuracy", "mean"),
            knee=("knee", "mean"),
            least=("knee", "min"),
            greatest=("knee", "max"),
        )
        return {"knees": table.reset_index()}

    def figures(self, found: Found) -> Mapping[str, "Figure"]:
        """Return accuracy against k, for every number of classes."""
        curves = _curves(found)
        curves = curves[curves["layer"].isna()].copy()
        curves["network"] = curves["quantity"].map(NAMES)
        curves["panel"] = curves["classes"].astype(str) + " classes"
        labels = ("directions k of each layer", "test accuracy")
        figure = lines(
            curves, "at", "value", by="network", across="panel", labels=labels, log="x", columns=2
        )
        return {"accuracy": figure}


def knees(found: Found) -> pandas.DataFrame:
    """Return for each dense network the least k whose accuracy with Z + D_k is within one point of its own.

    Where no k of those tried is enough, the knee is missing.
    """
    frame = _together(found, "truncated_update_accuracy")
    rows = []
    for (classes, replica), curve in frame.groupby(["classes", "replica"]):
        enough = curve[curve["lost"] <= TOLERANCE]["at"]
        rows.append(
            {
                "classes": classes,
                "replica": replica,
                "knee": enough.min(),
                "accuracy": curve["whole"].iloc[0],
            }
        )
    return pandas.DataFrame(rows)


def _task(num_classes: int, num_examples: int) -> Task:
    if num_classes <= 10:
        only = None if num_classes == 10 else tuple(range(num_classes))
        return MNIST(only=only, subset=tuple(range(num_examples)))
    half = tuple(range(num_examples // 2))
    rest = None if num_classes == 20 else tuple(range(num_classes - 10))
    return Joined(first=MNIST(subset=half), second=FashionMNIST(subset=half, only=rest))


def _curves(found: Found) -> pandas.DataFrame:
    """Return the accuracies on k directions."""
    frame = found["measuring/findings"]
    return frame[frame["quantity"].isin(list(NAMES))]


def _together(found: Found, quantity: str, **equal: float) -> pandas.DataFrame:
    """Return a curve of all layers together, with the whole network's accuracy and the points lost."""
    curve = pick(_curves(found), quantity=quantity, **equal)
    curve = curve[curve["layer"].isna()]
    whole = found.quantity("accuracy")[["classes", "replica", "value"]]
    curve = curve.merge(whole.rename(columns={"value": "whole"}), on=["classes", "replica"])
    return curve.assign(lost=100 * (curve["whole"] - curve["value"]))
