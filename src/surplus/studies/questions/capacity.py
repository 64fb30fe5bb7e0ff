"""Capacity: what of a network grows and what falls with its width, and which of it tells how well it generalises."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import numpy
import pandas

from surplus.base import Cell, register
from surplus.measures import (
    DistanceFromInit,
    GeneralisationGap,
    NormMeasures,
    PathNorm,
    TwoLayerBound,
)
from surplus.methods import Measuring
from surplus.nets import MLP
from surplus.studies.arm import Arm
from surplus.studies.claim import claim
from surplus.studies.evidence import Evidence, above, all_of, below, undecided
from surplus.studies.found import Found, paired, pick
from surplus.studies.plotting import lines
from surplus.studies.reading import exponents
from surplus.studies.study import Study
from surplus.tasks.classification import Labels
from surplus.tasks.mnist import MNIST
from surplus.training import Spec, Training
from surplus.training.moments import AtSteps, EverySteps
from surplus.training.optimizers import SGD
from surplus.training.probes import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEYS = ["experiment", "labels", "width", "images", "noise", "replica"]
NAMES = {
    "distance": "distance from initialisation",
    "mean_unit_capacity": "mean unit capacity",
    "mean_unit_impact": "mean unit impact",
    "log10_two_layer_bound": "two-layer bound, log10",
    "log10_spectral_complexity_over_margin": "spectral complexity over margin, log10",
    "log10_product_of_spectral_norms": "product of spectral norms, log10",
    "log10_product_of_frobenius_norms": "product of Frobenius norms, log10",
    "log10_path_2_norm": "path 2-norm, log10",
    "log10_path_1_norm": "path 1-norm, log10",
}
ACCURACIES = {"train_accuracy": "train accuracy", "test_accuracy": "test accuracy"}


@register("capacity")
@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity(Study):
    """Train one hidden layer of growing width on part of MNIST, with true and random labels, and measure norms.

    Widths: true and random labels. Noise: at the greatest width, a share of the labels is another class. Dilution: for
    each image with its own label there are alpha others with labels drawn uniformly from all classes, which are other
    images here. SGD, rate 0.02, momentum 0.9, batch 64, equal numbers of updates; no decay, no weight decay. Unit
    capacity is |u_i - u_i^0|, impact |v_i|; the margin is the 5th percentile over the train part.

    Reference: neyshabur2019role, Section 2; zhang2017understanding, Section 2.2; rolnick2017deep, Section 3.
    Neyshabur et al. stop at a cross-entropy of 0.01 and use rate 0.001 on all of MNIST and CIFAR-10, from uniform
    initial weights and zero-free biases; Zhang et al. use CIFAR-10; Rolnick et al. repeat the same image under other
    labels, and tune rate and batch for each alpha.
    """

    references: ClassVar = (
        "neyshabur2019role",
        "zhang2017understanding",
        "rolnick2017deep",
        "neyshabur2017exploring",
    )
    question: ClassVar = (
        "Which norms fall as a network grows wider, and do they tell how well it generalises?"
    )
    smoke: ClassVar = {
        "seeds": 2,
        "widths": (8, 32, 128),
        "num_images": 500,
        "num_clean": 200,
        "num_steps": 300,
    }
    full: ClassVar = {
        "seeds": 10,
        "widths": (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096),
        "num_images": 50_000,
        "num_clean": 5000,
        "num_steps": 200_000,
    }

    seeds: int = 5
    """How many replicas."""
    widths: tuple[int, ...] = (8, 32, 128, 512)
    """Units of the hidden layer."""
    noises: tuple[float, ...] = (0.25, 0.5, 0.75)
    """Shares of labels that are changed, at the greatest width."""
    alphas: tuple[int, ...] = (0, 4, 9)
    """How many images with random labels come with each that has its own."""
    num_images: int = 2000
    """How many images are learnt."""
    num_clean: int = 2000
    """How many of them have their own labels when they are diluted."""
    num_steps: int = 3000
    """Updates."""

    def arms(self) -> Iterable[Arm]:
        """Yield the widths, then the shares of wrong labels, then the dilutions."""
        for width in self.widths:
            yield self._arm("width", "true", width, self.num_images, Labels())
            yield self._arm("width", "random", width, self.num_images, Labels(random=True))
        for noise in (0.0, *self.noises):
            labels = Labels(noise=noise)
            yield self._arm("noise", "true", max(self.widths), self.num_images, labels)
        for alpha in self.alphas:
            # A label drawn from all ten classes is the image's own in one case of ten.
            labels = Labels(noise=0.9 * alpha / (1 + alpha))
            images = self.num_clean * (1 + alpha)
            yield self._arm("dilution", "true", max(self.widths), images, labels, alpha=alpha)

    def _arm(
        self,
        experiment: str,
        kind: str,
        width: int,
        images: int,
        labels: Labels,
        alpha: Cell = None,
    ) -> Arm:
        training = Training(
            optimizer=SGD(learning_rate=0.02, momentum=0.9),
            batch_size=64,
            num_steps=self.num_steps,
            snapshots=AtSteps(),
            probes=(Evaluation(at=EverySteps(every=self.num_steps)),),
        )
        task = MNIST(subset=tuple(range(images)), labels=labels)
        named: dict[str, Cell] = {"experiment": experiment, "labels": kind, "width": width}
        by = (
            GeneralisationGap(),
            DistanceFromInit(each_unit=False),
            NormMeasures(),
            PathNorm(),
            TwoLayerBound(),
        )
        return Arm(
            labels={**named, "images": images, "noise": labels.noise, "alpha": alpha},
            spec=Spec(net=MLP(widths=(width,)), task=task, training=training),
            methods=(Measuring(by=by, num_examples=None),),
        )

    @claim(
        "Wider networks generalise better, beyond the width that fits the training data.",
        source="neyshabur2019role",
        place="Figure 1",
    )
    def width_helps(self, found: Found) -> Evidence:
        """Test error at the greatest width less that at the least width which fits 99.5 % of the training labels.

        A fifth of a point, twenty test images, would matter.
        """
        rows = _rows(found, "width", "true")
        fitting = _fitting(rows)
        if len(fitting) < 2:
            return undecided("test error, points", "fewer than two widths fit")
        gain = paired(rows, "test error", {"width": max(fitting)}, {"width": min(fitting)})
        what = f"test error at width {max(fitting)} less that at {min(fitting)}, points"
        return below(100 * gain, what=what, least=0.2)

    @claim(
        "Each unit moves and acts less in a wider network: unit capacity and impact fall.",
        source="neyshabur2019role",
        place="Figure 2",
    )
    def units_share_the_work(self, found: Found) -> Evidence:
        """The slopes of log(mean capacity) and log(mean impact) on log(width); 0.1 is 7 % per doubling."""
        return self._falling(found, ("mean unit capacity", "mean unit impact"))

    @claim(
        "The hidden layer as a whole moves less in a wider network.",
        source="neyshabur2019role",
        place="Section 2.1",
    )
    def the_layer_moves_less(self, found: Found) -> Evidence:
        """The slope of log|U - U^0| on log(width), Frobenius norm; 0.05 is 3 % per doubling."""
        return self._falling(found, ("distance from initialisation",), least=0.05)

    @claim(
        "The bound by unit capacity and impact falls with the width, where the spectral one rises.",
        source="neyshabur2019role",
        place="Figure 5",
    )
    def the_bound_falls(self, found: Found) -> Evidence:
        """Both from the least width that fits 99.5 % of the labels to the greatest, in decades; 0.05 is 12 %."""
        rows = _rows(found, "width", "true")
        fitting = _fitting(rows)
        what = "change with the width, decades"
        if len(fitting) < 2:
            return undecided(what, "fewer than two widths fit")
        ends = {"width": max(fitting)}, {"width": min(fitting)}
        bound, spectral = (
            paired(rows, f"{name}, log10", *ends)
            for name in ("two-layer bound", "spectral complexity over margin")
        )
        return all_of(
            {
                "two-layer bound": below(bound, what=what, least=0.05, among=2),
                "spectral complexity": above(spectral, what=what, least=0.05, among=2),
            }
        )

    @claim(
        "Random labels are fitted without trouble.",
        source="zhang2017understanding",
        place="Section 2.2, Figure 1",
    )
    def random_labels_are_fitted(self, found: Found) -> Evidence:
        """The share of random labels that the widest network gives its training images, against 99 %."""
        rows = pick(_rows(found, "width", "random"), width=max(self.widths))
        return above(100 * rows["train accuracy"], what="random labels fitted, %", bound=99)

    @claim(
        "Random labels take more capacity than true ones: all norms are larger.",
        source="neyshabur2017exploring",
        place="Section 3, Figure 1",
    )
    def random_labels_take_capacity(self, found: Found) -> Evidence:
        """Random less true labels at the greatest width; 0.05 decades are 12 %."""
        rows = pick(_wide(found), experiment="width", width=max(self.widths))
        rows["distance from initialisation, log10"] = numpy.log10(rows[NAMES["distance"]])
        norms = ("distance from initialisation", "product of spectral norms", "path 2-norm")
        what = "random less true labels, decades"
        return all_of(
            {
                name: above(
                    paired(rows, f"{name}, log10", {"labels": "random"}, {"labels": "true"}),
                    what=what,
                    least=0.05,
                    among=len(norms),
                )
                for name in norms
            }
        )

    @claim(
        "Test error rises steadily with the share of wrong labels.",
        source="zhang2017understanding",
        place="Section 2.2, Figure 1c",
    )
    def noise_interpolates(self, found: Found) -> Evidence:
        """The difference in test error of each share and the next lower one; a point would matter."""
        rows = _rows(found, "noise", "true")
        shares = (0.0, *self.noises)
        what = "test error added, points"
        return all_of(
            {
                f"share {some:g} after {other:g}": above(
                    100 * paired(rows, "test error", {"noise": some}, {"noise": other}),
                    what=what,
                    least=1,
                    among=len(shares) - 1,
                )
                for other, some in pairwise(shares)
            }
        )

    @claim(
        "Nine random labels to each right one leave more than 90 % test accuracy.",
        source="rolnick2017deep",
        place="Section 3, Figure 1 (there even with a hundred)",
        needs="full",
    )
    def dilution_is_borne(self, found: Found) -> Evidence:
        """Test accuracy at the greatest alpha."""
        rows = _rows(found, "dilution", "true")
        rows = rows[rows["noise"] == rows["noise"].max()]
        return above(100 * rows["test accuracy"], what="test accuracy, %", bound=90)

    def tables(self, found: Found) -> Mapping[str, pandas.DataFrame]:
        """Return means over replicas, and how each norm goes with the test error over widths."""
        wide = _wide(found)
        keys = [each for each in KEYS if each != "replica"]
        means = wide.drop(columns="replica").groupby(keys, sort=False).mean()
        rows = _rows(found, "width", "true")
        order = rows[[*NAMES.values(), "accuracy gap"]].corrwith(
            rows["test error"], "index", method="kendall"
        )
        named = order.rename("Kendall's tau with test error").rename_axis("quantity")
        return {"means": means.reset_index(), "order": named.reset_index()}

    def figures(self, found: Found) -> Mapping[str, "Figure"]:
        """Draw every norm against width, errors against width, and accuracy against the share of wrong labels."""
        wide = _wide(found)
        widths = pick(wide, experiment="width").assign(
            **{name: 100 * (1 - wide[name]) for name in ACCURACIES.values()}
        )
        errors = {"train accuracy": "train", "test accuracy": "test"}
        shown = widths.rename(columns=errors).melt(KEYS, errors.values(), "part", "error, %")
        norms = widths.melt(KEYS, NAMES.values(), "norm")
        noisy = wide[wide["experiment"] != "width"].assign(accuracy=100 * wide["test accuracy"])
        return {
            "errors": lines(shown, "width", "error, %", by="part", across="labels", log="x"),
            "norms": lines(norms, "width", "value", by="labels", across="norm", log="x"),
            "noise": lines(
                noisy,
                "noise",
                "accuracy",
                across="experiment",
                labels=("share of wrong labels", "test accuracy, %"),
                share_y=True,
            ),
        }

    def _falling(self, found: Found, names: tuple[str, ...], least: float = 0.1) -> Evidence:
        rows = _rows(found, "width", "true")
        return all_of(
            {
                name: below(
                    exponents(rows, "width", name),
                    what="slope on width",
                    least=least,
                    among=len(names),
                )
                for name in names
            }
        )


def _wide(found: Found) -> pandas.DataFrame:
    """Return one row per network and arm with its numbers: those of the hidden layer, or of the whole."""
    names = {**NAMES, **ACCURACIES, "accuracy_gap": "accuracy gap"}
    frame = found["measuring/findings"]
    frame = frame[frame["quantity"].isin(names)]
    hidden = frame["quantity"].isin(["distance", "mean_unit_capacity", "mean_unit_impact"])
    frame = frame[frame["layer"].eq("fc1").where(hidden, frame["layer"].isna())]
    frame = frame.assign(quantity=frame["quantity"].map(names))
    wide = frame.pivot_table("value", KEYS, "quantity", sort=False, dropna=False).reset_index()
    wide = wide.dropna(subset="test accuracy")
    return wide.reindex(columns=[*KEYS, *names.values()]).assign(
        **{"test error": 1 - wide["test accuracy"]}
    )


def _rows(found: Found, experiment: str, labels: str) -> pandas.DataFrame:
    return pick(_wide(found), experiment=experiment, labels=labels)


def _fitting(rows: pandas.DataFrame) -> list[int]:
    """Return the widths at which networks fit 99.5 % of their training labels on average."""
    fitted = rows.groupby("width")["train accuracy"].mean() >= 0.995
    return [int(width) for width in fitted.index[fitted]]
