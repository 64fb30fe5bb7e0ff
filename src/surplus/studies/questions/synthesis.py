"""Where does redundancy come from? One prediction of each theory, measured on the same networks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import pandas

from surplus.base import label, register
from surplus.measures.distance_from_init import DistanceFromInit
from surplus.measures.frame_potential import FramePotential
from surplus.measures.low_rank_accuracy import LowRankAccuracy
from surplus.measures.marchenko_pastur import MarchenkoPasturFit
from surplus.measures.random_halves import RandomHalves
from surplus.methods.history import History
from surplus.methods.measuring import Measuring
from surplus.methods.unit_tickets import UnitTickets
from surplus.nets.mlp import MLP
from surplus.studies.arm import Arm
from surplus.studies.claim import claim
from surplus.studies.evidence import Evidence, above, below
from surplus.studies.found import Found, paired, pick
from surplus.studies.plotting import lines
from surplus.studies.reading import at_the_end, exponents
from surplus.studies.study import Study
from surplus.tasks.classification import Classification
from surplus.tasks.mnist import MNIST
from surplus.training import Spec, Training
from surplus.training.moments.at_steps import AtSteps
from surplus.training.optimizers.sgd import SGD

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAYER = "fc1"
QUANTITIES = {
    "effective_num_directions": "directions spanned",
    "num_spikes": "directions out of the bulk",
    "mean_unit_capacity": "distance moved per unit",
    "halved_accuracy": "accuracy of a half",
    "rescaled_accuracy": "accuracy of a half, doubled",
}
HALVES, TICKETS = "accuracy of a random half", "test accuracy of a quarter"
PANELS = {
    "rank of the update": ("rank of the update", "all units"),
    "directions spanned": ("directions spanned", "all units"),
    "directions out of the bulk": ("directions out of the bulk", "all units"),
    "distance moved per unit": ("distance moved per unit", "all units"),
    "accuracy of a half": (HALVES, "as loud as it is"),
    "accuracy of a half, doubled": (HALVES, "twice as loud"),
    "test accuracy, dense": (TICKETS, "all units"),
    "test accuracy, ticket": (TICKETS, "the largest, rewound"),
    "test accuracy, random": (TICKETS, "at random, rewound"),
    "test accuracy, worst": (TICKETS, "the smallest, rewound"),
}
"""Where each column of the table is drawn: panel and line."""
RANKS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48, 64, 96, 128)
LOW_RANK = LowRankAccuracy(ranks=RANKS, num_draws=1)


@register("synthesis")
@dataclass(frozen=True, kw_only=True, slots=True)
class Synthesis(Study):
    """Networks with one hidden layer of growing width learn the same images; each theory predicts how that layer looks.

    SGD with momentum on a part of MNIST, all widths alike. What is measured lies in the hidden layer. Trends are
    slopes of log2 against log2 of the width, one for each replica over all its widths, so that a slope of 0 is a
    quantity that does not know the width and 1 one that grows with it. Tickets are whole units: a quarter of them,
    rewound and trained alone.

    Reference: frankle2019lottery, and one paper for each other theory; decisions/0022-theories.md says why these
    predictions tell the theories apart.
    """

    references: ClassVar = (
        "frankle2019lottery",
        "heitmann2020sources",
        "goldt2019dynamics",
        "martin2021implicit",
        "neyshabur2019role",
        "nagarajan2019uniform",
    )
    question: ClassVar = (
        "Which theory of redundancy foretells how a wide layer looks after training?"
    )
    smoke: ClassVar = {"seeds": 2, "widths": (16, 64), "num_epochs": 2, "num_examples": 2000}
    full: ClassVar = {
        "seeds": 20,
        "widths": (16, 32, 64, 128, 256, 512, 1024, 2048, 4096),
        "num_epochs": 100,
        "num_examples": 55_000,
    }

    seeds: int = 5
    """How many replicas."""
    task: Classification = MNIST()
    """What they learn."""
    widths: tuple[int, ...] = (32, 64, 128, 256, 512)
    """The units of the hidden layer."""
    num_epochs: int = 20
    """How long each network trains."""
    num_examples: int = 10_000
    """How many images it trains on."""

    def arms(self) -> Iterable[Arm]:
        """Return one arm for each width."""
        training = Training(
            optimizer=SGD(learning_rate=0.05, momentum=0.9),
            num_epochs=self.num_epochs,
            batch_size=64,
            snapshots=AtSteps(),
        )
        measures = (
            DistanceFromInit(),
            FramePotential(),
            LOW_RANK,
            MarchenkoPasturFit(),
            RandomHalves(),
        )
        for width in self.widths:
            yield Arm(
                labels={"width": width},
                spec=Spec(
                    net=MLP(widths=(width,)),
                    task=replace(self.task, subset=tuple(range(self.num_examples))),
                    training=training,
                ),
                methods=(Measuring(by=measures), UnitTickets(), History()),
            )

    @claim(
        "The quarter of the units that ends up largest learns better from its initial weights than a random quarter.",
        source="frankle2019lottery",
        place="Section 1, for weights",
        theory="tickets",
    )
    def lucky_units(self, found: Found) -> Evidence:
        """Final test accuracy of the two, rewound and trained alone, paired by replica; all widths averaged.

        Half a point is what a ticket would have to be worth.
        """
        last = at_the_end(found["unit-tickets/history"], ["width"])
        gain = paired(last, "test_accuracy", {"arm": "ticket"}, {"arm": "random"})
        return above(100 * gain, what="gain of tickets over random units, points", least=0.5)

    @claim(
        "The trained weight vectors span a smaller share of the directions open to them, the wider the layer.",
        source="heitmann2020sources",
        place="Section 3",
        theory="alignment",
    )
    def alignment(self, found: Found) -> Evidence:
        """Slope of m^2 / FP over what random directions would give, against width, one for each replica."""
        spanned = _in_layer(found, "effective_num_directions")
        expected = (
            spanned["width"] ** 2 / _in_layer(found, "random_frame_potential")["value"].to_numpy()
        )
        spanned["value"] = spanned["value"] / expected
        return below(
            exponents(spanned, "width", "value"),
            what="slope of log share of directions",
            least=0.05,
        )

    @claim(
        "The rank of the update that carries the accuracy does not grow with width.",
        source="nagarajan2019uniform",
        place="Section 3",
        theory="low rank",
    )
    def low_rank(self, found: Found) -> Evidence:
        """Slope against width of the least rank of W - Z that keeps all but a point of the accuracy, per replica."""
        return below(
            exponents(_ranks(found), "width", "value"), what="slope of log rank", bound=0.25
        )

    @claim(
        "A random half of the widest layer, made twice as loud, is as accurate as the whole.",
        source="goldt2019dynamics",
        place="Section 4",
        theory="model averaging",
    )
    def averaging(self, found: Found) -> Evidence:
        """Validation accuracy lost by halving and doubling, at the greatest width, one mean over draws per replica."""
        lost = pick(_lost(found), width=max(self.widths))["value"]
        return below(100 * lost, what="accuracy lost, points", bound=1.0)

    @claim(
        "What a random half loses falls with the width at least as a standard error does.",
        place="that noise averages out; asked after a first run of these networks",
        theory="model averaging",
    )
    def noise_averages_out(self, found: Found) -> Evidence:
        """Slope against width of the validation accuracy lost by halving and doubling, one for each replica."""
        slopes = exponents(_lost(found), "width", "value")
        return below(slopes, what="slope of log accuracy lost", bound=-0.5)

    @claim(
        "The number of directions that stand out of the random bulk does not grow with width.",
        source="martin2021implicit",
        place="Section 3",
        theory="random matrices",
    )
    def random_matrices(self, found: Found) -> Evidence:
        """Slope against width of the number of spikes beyond the fitted Marchenko-Pastur edge, plus one."""
        spikes = _in_layer(found, "num_spikes")
        spikes["value"] = spikes["value"] + 1
        return below(
            exponents(spikes, "width", "value"), what="slope of log number of spikes", bound=0.25
        )

    @claim(
        "Each unit moves less from its initial weights, the wider the layer.",
        source="neyshabur2019role",
        place="Section 2",
        theory="capacity",
    )
    def capacity(self, found: Found) -> Evidence:
        """Slope against width of the mean distance of a unit from its initial weights, one for each replica."""
        moved = _in_layer(found, "mean_unit_capacity")
        return below(
            exponents(moved, "width", "value"), what="slope of log distance per unit", least=0.1
        )

    def tables(self, found: Found) -> Mapping[str, pandas.DataFrame]:
        """Return the means over replicas, width by width."""
        return {
            "by-width": _wide(found).groupby("width").mean().drop(columns="replica").reset_index()
        }

    def figures(self, found: Found) -> Mapping[str, "Figure"]:
        """Draw every prediction against width."""
        tidy = _wide(found).melt(["width", "replica"], var_name="column")
        tidy["panel"], tidy["line"] = zip(*tidy["column"].map(PANELS), strict=True)
        return {
            "predictions": lines(
                tidy,
                "width",
                "value",
                by="line",
                across="panel",
                log="x",
                labels=("width of the hidden layer", ""),
            )
        }


def _in_layer(found: Found, quantity: str) -> pandas.DataFrame:
    rows = pick(found.quantity(quantity), layer=LAYER)
    return rows[["width", "replica", "value"]].reset_index(drop=True)


def _lost(found: Found) -> pandas.DataFrame:
    """Return the validation accuracy that each network loses with a random half of its units, the rest doubled."""
    keys = ["width", "replica"]
    whole = found.quantity("accuracy", "random-halves").set_index(keys)["value"]
    half = _in_layer(found, "rescaled_accuracy").set_index(keys)["value"]
    return (whole - half).rename("value").reset_index()


def _ranks(found: Found) -> pandas.DataFrame:
    """Return the least rank of the update, of those tried, with which a network is within a point of itself."""
    keys = ["width", "replica"]
    whole = found.quantity("accuracy", label(LOW_RANK)).set_index(keys)["value"]
    kept = pick(found.quantity("truncated_update_accuracy"), layer=LAYER)
    kept = kept.join(whole.rename("whole"), on=keys)
    enough = kept[kept["value"] >= kept["whole"] - 0.01]
    least = enough.groupby(keys)["at"].min().rename("value")
    return least.reindex(
        whole.index
    ).reset_index()  # missing where no rank of those tried is enough


def _wide(found: Found) -> pandas.DataFrame:
    """Return one row per network with everything that the claims look at."""
    keys = ["width", "replica"]
    columns = [
        _in_layer(found, quantity).set_index(keys)["value"].rename(name)
        for quantity, name in QUANTITIES.items()
    ]
    columns.append(_ranks(found).set_index(keys)["value"].rename("rank of the update"))
    last = at_the_end(found["unit-tickets/history"], ["width"])
    arms = last.pivot_table(index=keys, columns="arm", values="test_accuracy")
    columns += [arms[name].rename(f"test accuracy, {name}") for name in arms]
    return pandas.concat(columns, axis=1).reset_index()
