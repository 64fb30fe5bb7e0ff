"""Training geometry: how redundant units arise while a network learns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy
import pandas
from scipy import stats

from surplus import measures
from surplus.base import Net, Task, register
from surplus.methods import Measuring
from surplus.nets import MLP, VGG11, VGG19BN
from surplus.studies.arm import Arm
from surplus.studies.claim import claim
from surplus.studies.evidence import Evidence, above, all_of, below, bootstrapped, undecided
from surplus.studies.found import Found, pick
from surplus.studies.plotting import lines
from surplus.studies.reading import at_the_end, by_replica, gained
from surplus.studies.study import Study
from surplus.tasks.cifar10 import CIFAR10
from surplus.tasks.classification import Labels
from surplus.tasks.mnist import MNIST
from surplus.training import Spec, Training
from surplus.training.moments import AtSteps, EverySteps
from surplus.training.optimizer import Optimizer
from surplus.training.optimizers import SGD, Adam, AdamW
from surplus.training.probes import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WEIGHTS: tuple[measures.Measure, ...] = (
    measures.Norms(each_unit=False),
    measures.Cosines(each_unit=False),
    measures.FramePotential(),
    measures.SimilarityGraph(),
    measures.Movement(each_unit=False),
    measures.Approach(),
)
SHOWN = {
    "mean_norm": "mean norm",
    "mean_nearest_cosine": "cosine with the nearest unit",
    "place_between_bounds": "place of the frame potential",
    "num_components": "components at 60 degrees",
    "mean_cosine_with_start": "cosine with initialisation",
    "within_to_between_variance": "variance within / between classes",
}


@register("training-geometry")
@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingGeometry(Study):
    """Follow the weight vectors of three hidden layers through training, by optimiser, batch size and labels.

    A dense network of three equal layers learns part of MNIST by SGD with momentum 0.9 on small, large and full
    batches, by Adam and by AdamW, and by SGD with random labels. At a few steps: norms, cosines, frame potential,
    components of the similarity graph, cosine with initialisation, collapse of the classes, the gap. Trained units are
    those whose norm grew by a tenth or more; closeness to their subspace of rank 10 leaves the unit itself out.
    Alignment is the place of the frame potential between its bounds. A small VGG-11 without dropout learns part of
    CIFAR-10 by Adam.

    Reference: heitmann2020sources, Sections 2 to 4, and its report; papyan2020prevalence.
    Heitmann trains LeNet-300-100, Conv-2, Conv-6 and VGG-19-BN, once each, for up to 112,000 updates; the default
    scale has narrower and smaller networks, less data and shorter runs.
    """

    references: ClassVar = ("heitmann2020sources", "papyan2020prevalence")
    question: ClassVar = (
        "How do redundant units arise: which are trained, where do they move, and what makes them?"
    )
    smoke: ClassVar = {"seeds": 2, "width": 32, "num_images": 300, "num_steps": 200, "num_vgg": 0}
    full: ClassVar = {
        "seeds": 10,
        "width": 300,
        "num_images": 10_000,
        "num_steps": 40_000,
        "steps": (100, 1000, 4000, 10_000, 20_000),
        "vgg": VGG19BN(),
        "num_vgg": 45_000,
        "vgg_epochs": 160,
    }

    seeds: int = 5
    """How many replicas."""
    width: int = 128
    """Units of each hidden layer."""
    num_images: int = 1000
    """How many images of MNIST are learnt."""
    num_steps: int = 2000
    """Updates; full batches get a quarter of them."""
    steps: tuple[int, ...] = (20, 100, 500)
    """When to look, beside the start and the end."""
    vgg: Net = VGG11(width=0.125, dropout=0.0)
    """The deep network."""
    num_vgg: int = 4000
    """How many images of CIFAR-10 it learns; none leaves it out."""
    vgg_epochs: int = 12
    """For how long."""

    def arms(self) -> Iterable[Arm]:
        """Yield the optimisers and batch sizes, random labels, and the deep network."""
        rates = (0.02, 0.05, 0.1)
        small, large, full = (SGD(learning_rate=rate, momentum=0.9) for rate in rates)
        yield self._dense("SGD, batch 32", small, 32)
        yield self._dense("SGD, batch 256", large, 256)
        yield self._dense("full batch", full, self.num_images)
        yield self._dense("Adam, batch 64", Adam(learning_rate=1e-3), 64)
        yield self._dense("AdamW, batch 64", AdamW(learning_rate=1e-3, weight_decay=0.1), 64)
        yield self._dense("SGD, batch 32", small, 32, random=True)
        if self.num_vgg:
            yield self._deep()

    def _dense(self, name: str, optimizer: Optimizer, batch: int, random: bool = False) -> Arm:
        task = MNIST(subset=tuple(range(self.num_images)), labels=Labels(random=random))
        end = self.num_steps // 4 if batch == self.num_images else self.num_steps
        training = Training(
            optimizer=optimizer,
            batch_size=min(batch, self.num_images),
            num_steps=end,
            snapshots=AtSteps(given=tuple(step for step in self.steps if step < end)),
            probes=(Evaluation(at=EverySteps(every=end)),),
        )
        return self._arm(name, random, MLP(widths=(self.width,) * 3), task, training, WEIGHTS)

    def _deep(self) -> Arm:
        end = self.vgg_epochs * (self.num_vgg // 64)
        training = Training(
            optimizer=Adam(learning_rate=1e-3),
            batch_size=64,
            num_steps=end,
            snapshots=AtSteps(),
            probes=(Evaluation(at=EverySteps(every=end)),),
        )
        task = CIFAR10(subset=tuple(range(self.num_vgg)))
        by = (measures.Cosines(), measures.FramePotential())
        return self._arm("Adam, batch 64", False, self.vgg, task, training, by)

    def _arm(
        self,
        name: str,
        random: bool,
        net: Net,
        task: Task,
        training: Training,
        by: tuple[measures.Measure, ...],
    ) -> Arm:
        assert training.num_steps is not None and isinstance(training.snapshots, AtSteps)
        looks = (0, *training.snapshots.given, training.num_steps)
        both = (
            *by,
            measures.NeuralCollapse(num_examples=500),
            measures.GeneralisationGap(num_examples=2000),
        )
        return Arm(
            labels={
                "net": net.kind,
                "optimizer": name,
                "labels": "random" if random else "true",
            },
            spec=Spec(net=net, task=task, training=training),
            methods=tuple(Measuring(by=both, at=step) for step in looks),
        )

    @claim(
        "Few units are trained; the others stay near their initialisation.",
        source="heitmann2020sources",
        place="report, fully connected layers",
    )
    def few_units_are_trained(self, found: Found) -> Evidence:
        """In the first layer under SGD: less than half of the units grew, and the others' cosine with the start.

        A cosine above 0.9, an angle below 26 degrees, counts as near.
        """
        share, near = (
            _first(found, name) for name in ("share_trained", "untrained_cosine_with_start")
        )
        return all_of(
            {
                "trained": below(share, what="share of units", bound=0.5, among=2),
                "others": above(near, what="cosine with initialisation", bound=0.9, among=2),
            }
        )

    @claim(
        "Trained units share one large component of the similarity graph.",
        source="heitmann2020sources",
        place="report, graphs of units",
    )
    def trained_units_hang_together(self, found: Found) -> Evidence:
        """The share of trained units in the largest component at 60 degrees, first layer under SGD, against half."""
        share = _first(found, "trained_largest_component_share")
        return above(share, what="share of trained units in one component", bound=0.5)

    @claim(
        "The trained units were no closer to the trained subspace at the start than the others.",
        place="issue of the project: which units win?",
    )
    def no_closer_at_the_start(self, found: Found) -> Evidence:
        """Closeness at initialisation, trained less other units, first layer under SGD; 0.05 counts as no closer."""
        trained, others = (
            _first(found, f"{kind}_initial_closeness") for kind in ("trained", "untrained")
        )
        what = "closeness at the start, trained less others"
        return below(trained - others, what=what, bound=0.05)

    @claim(
        "Trained units move towards the subspace that they end up sharing.",
        place="issue of the project: does training turn units?",
    )
    def trained_units_move_there(self, found: Found) -> Evidence:
        """Closeness at the end less that at the start, trained units of the first layer under SGD; 0.1 would matter."""
        end, start = (_first(found, f"trained_{when}_closeness") for when in ("final", "initial"))
        return above(end - start, what="closeness gained", least=0.1)

    @claim(
        "Clusters of nearly equal vectors appear in the deep layers of VGG.",
        source="heitmann2020sources",
        place="report, VGG-19-BN",
    )
    def deep_layers_cluster(self, found: Found) -> Evidence:
        """The share of filters of the last convolution with a neighbour at a cosine of 0.9 or more, after training.

        Less the same of the second convolution, and less that at the start; a tenth of the filters would matter.
        """
        what = "share of filters with a near equal"
        if not self.num_vgg:
            return undecided(what, "the deep network is left out at this scale")
        frame = found.quantity("nearest_cosine")
        frame = pick(frame, net=self.vgg.kind).assign(near=lambda each: each["value"] >= 0.9)
        share = frame.groupby(["layer", "step", "replica"])["near"].mean()
        convolutions = sorted(
            (name for name in share.index.levels[0] if str(name).startswith("conv")),
            key=lambda name: int(str(name)[4:]),
        )
        start, end = share.index.levels[1].min(), share.index.levels[1].max()
        deep = share[convolutions[-1], end]
        others = {
            "than in the second": share[convolutions[1], end],
            "than at the start": share[convolutions[-1], start],
        }
        return all_of(
            {
                name: above(deep - other, what=what, least=0.1, among=2)
                for name, other in others.items()
            }
        )

    @claim(
        "Alignment and collapse grow with depth.",
        source="heitmann2020sources",
        place="Section 2.3, after Papyan et al.",
    )
    def both_grow_with_depth(self, found: Found) -> Evidence:
        """Third less first hidden layer under SGD at the end: alignment, and log10 of variance within over between.

        0.02 of the room between the bounds, and 0.1 decades, would matter.
        """
        last = _last(found)
        (low, high), (wide, narrow) = (
            [by_replica(last, name, layer) for layer in ("fc1", "fc3")]
            for name in ("place_between_bounds", "within_to_between_variance")
        )
        what, collapse = "grown with depth", numpy.log10(wide / narrow)
        return all_of(
            {
                "alignment": above(high - low, what=what, least=0.02, among=2),
                "collapse, decades": above(collapse, what=what, least=0.1, among=2),
            }
        )

    @claim(
        "Both go on after the training error is zero.",
        source="papyan2020prevalence",
        place="Figures 2 to 7, for collapse",
    )
    def both_go_on(self, found: Found) -> Evidence:
        """The last hidden layer under SGD, from the first look at which no training image is wrong to the end.

        0.04 decades, a tenth more of the one or less of the other, would matter.
        """
        rows = pick(found["measuring/findings"], net="mlp", labels="true")
        rows = pick(rows, optimizer="SGD, batch 32")
        perfect = rows[(rows["quantity"] == "train_accuracy") & (rows["value"] == 1)]
        first = perfect.groupby("replica")["step"].min().reindex(rows["replica"].unique())
        here = rows[rows["layer"] == "fc3"].set_index(["quantity", "replica", "step"])["value"]
        end = rows["step"].max()

        def change(quantity: str) -> "pandas.Series[float]":
            """Return the end over the first such look, in decades."""
            pairs = {
                replica: None
                if pandas.isna(step) or step == end
                else numpy.log10(here[quantity, replica, end] / here[quantity, replica, step])
                for replica, step in first.items()
            }
            return pandas.Series(pairs, dtype=float)

        what = "decades gained after zero training error"
        parts = {
            "alignment": change("place_between_bounds"),
            "collapse": -change("within_to_between_variance"),
        }
        return all_of(
            {name: above(each, what=what, least=0.04, among=2) for name, each in parts.items()}
        )

    @claim(
        "Alignment needs no stochastic gradients: full-batch descent aligns units as well.",
        place="issue of the project: is alignment the optimiser's doing?",
    )
    def full_batches_align(self, found: Found) -> Evidence:
        """Alignment of the last hidden layer under full batches, end less start; 0.02 of the room would matter."""
        gains = _aligned(found)["full batch"]
        return above(gains, what="alignment gained, last hidden layer", least=0.02)

    @claim(
        "Alignment is the optimiser's doing: Adam aligns units less than SGD.",
        place="issue of the project: is alignment the optimiser's doing?",
    )
    def adam_aligns_less(self, found: Found) -> Evidence:
        """Alignment gained in the last hidden layer, SGD on batches of 32 less Adam, paired; 0.02 would matter."""
        gains = _aligned(found)
        difference = gains["SGD, batch 32"] - gains["Adam, batch 64"]
        return above(difference, what="alignment, SGD less Adam", least=0.02)

    @claim(
        "Alignment foretells the generalisation gap: the more aligned, the smaller the gap.",
        place="issue of the project",
    )
    def alignment_foretells_the_gap(self, found: Found) -> Evidence:
        """Spearman's correlation over all runs with true labels, of alignment in the last layer with less gap.

        The interval draws runs anew; a correlation of 0.3 would matter.
        """
        last = pick(_last(found, optimizer=None), labels="true")
        keys = ["optimizer", "replica"]
        aligned = last[last["quantity"] == "place_between_bounds"]
        aligned = aligned[aligned["layer"] == "fc3"].set_index(keys)["value"]
        gap = last[last["quantity"] == "accuracy_gap"].set_index(keys)["value"]
        pairs = pandas.DataFrame({"aligned": aligned, "gap": gap}).to_numpy()

        def correlation(drawn: "numpy.ndarray[tuple[int], numpy.dtype[numpy.float64]]") -> float:
            chosen = pairs[drawn.astype(int)]
            return float(-stats.spearmanr(chosen[:, 0], chosen[:, 1]).statistic)

        what = "Spearman's correlation of alignment with less gap, over runs"
        return bootstrapped(range(len(pairs)), correlation, what=what, least=0.3)

    def tables(self, found: Found) -> Mapping[str, pandas.DataFrame]:
        """Return the last look at every layer, means over replicas."""
        last = pandas.concat([_last(found, optimizer=None), _last(found, None, "random")])
        named = "|".join(
            [*SHOWN, "share_trained", ".*component_share", ".*_closeness", "t.*_accuracy"]
        )
        chosen = last[last["quantity"].str.fullmatch(named) & last["at"].isna()]
        chosen = chosen.assign(layer=chosen["layer"].fillna("all"))
        keys = ["optimizer", "labels", "layer"]
        wide = chosen.pivot_table("value", keys, "quantity", sort=False).reset_index()
        return {"end": wide}

    def figures(self, found: Found) -> Mapping[str, "Figure"]:
        """Draw each hidden layer through training, and how close units are, and began, to the subspace of the time."""
        frame = pick(found["measuring/findings"], net="mlp")
        random = frame["labels"].map({"true": "", "random": ", random labels"})
        frame = frame.assign(arm=frame["optimizer"] + random, step=frame["step"] + 1)
        frame = frame[frame["at"].isna() & frame["layer"].isin(["fc1", "fc2", "fc3"])]
        shown = frame.assign(shown=frame["quantity"].map(SHOWN)).dropna(subset="shown")
        close = frame["quantity"].str.extract("^(.*)_closeness$", expand=False)
        close = frame.assign(units=close.str.replace("_", ", ")).dropna(subset="units")
        draw = partial(lines, x="step", y="value", log="x")
        figures = {
            layer: draw(rows, by="arm", across="shown", labels=("step + 1", ""))
            for layer, rows in shown.groupby("layer")
        }
        words = ("step + 1", "closeness to it")
        sgd = pick(close, arm="SGD, batch 32")
        return {**figures, "closeness": draw(sgd, by="units", across="layer", labels=words)}


def _last(
    found: Found, optimizer: str | None = "SGD, batch 32", labels: str = "true"
) -> pandas.DataFrame:
    """Return what was found of the dense networks at the end of their runs; None takes all optimisers."""
    frame = pick(found["measuring/findings"], net="mlp", labels=labels)
    if optimizer is not None:
        frame = pick(frame, optimizer=optimizer)
    return at_the_end(frame, by=["optimizer"])


def _first(found: Found, quantity: str) -> "pandas.Series[float]":
    return by_replica(_last(found), quantity, "fc1")


def _aligned(found: Found) -> "dict[str, pandas.Series[float]]":
    frame = pick(found["measuring/findings"], net="mlp", labels="true")
    return gained(frame, "place_between_bounds", "fc3", by="optimizer")
