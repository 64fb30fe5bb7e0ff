"""Unit dependence: is every unit equally important?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy
import pandas

from surplus.base import register
from surplus.methods.dependence import Dependence
from surplus.nets import Conv2, LeNet300100
from surplus.studies.arm import Arm
from surplus.studies.claim import claim
from surplus.studies.evidence import Evidence, above, all_of, below
from surplus.studies.found import Found, pick
from surplus.studies.plotting import lines
from surplus.studies.study import Study
from surplus.training import recipe
from surplus.training.moments import AtSteps

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DENSE = ("fc1", "fc2")
LAYERS = (*DENSE, "conv2")
LOGGED = ("largest", "mean")
CHANGES = {
    "largest": "largest single change",
    "mean": "mean single change",
    "shapley_largest": "largest Shapley value",
}
INEQUALITIES = {"gini": "single changes", "shapley_gini": "Shapley values"}


@register("unit-dependence")
@dataclass(frozen=True, kw_only=True, slots=True)
class UnitDependence(Study):
    """Remove every unit, every two units, and all units in random orders, from trained layers of growing width.

    LeNet-300-100, all hidden layers multiplied by a factor, is trained on MNIST (Adam 1.2e-3, batches of 60), and
    Conv-2 on CIFAR-10 (Adam 2e-4). At the end, on 2,000 images of the validation part, which no training saw, the
    change of the loss is found exactly for each unit alone and for all pairs of units of the layer, and Shapley values
    are estimated from 16 random orders and their reverses. Both dense layers of LeNet and the second convolution of
    Conv-2 are looked at; each is taken apart alone, the others whole.

    Slopes are those of straight lines over the widths, fitted for each seed: of logarithms to base 2 for the largest
    and the mean change, of the coefficient itself for Gini's. Correlations are of ranks within one layer of one
    network, then averaged over the widths of a seed. So n counts seeds, and intervals are Student's over them.

    Reference: own; decisions/0023-units-in-pairs.md.
    By default 4 epochs of MNIST instead of 20, and a quarter of Conv-2's width for 1,500 steps instead of 20,000.
    """

    question: ClassVar = "Is every unit equally important, and does width make units more equal?"
    smoke: ClassVar = {
        "seeds": 2,
        "widths": (0.1, 0.3),
        "num_epochs": 1,
        "conv_width": 0.125,
        "num_conv_steps": 200,
    }
    full: ClassVar = {
        "seeds": 10,
        "widths": (0.125, 0.25, 0.5, 1.0, 2.0, 4.0),
        "num_epochs": 20,
        "conv_width": 1.0,
        "num_conv_steps": 20_000,
    }

    seeds: int = 5
    """How many replicas of each network."""
    widths: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0, 2.0)
    """The factors on the widths of LeNet-300-100."""
    num_epochs: int = 4
    """Passes over MNIST."""
    conv_width: float = 0.25
    """The factor on the widths of Conv-2."""
    num_conv_steps: int = 1_500
    """Updates on CIFAR-10."""

    def arms(self) -> Iterable[Arm]:
        """Return one arm for each width of LeNet, and Conv-2."""
        dense, conv = recipe("lenet-mnist"), recipe("conv2-cifar10")
        learning = replace(dense.training, num_epochs=self.num_epochs, snapshots=AtSteps())
        for width in self.widths:
            yield Arm(
                labels={"net": "lenet-300-100", "width": width},
                spec=replace(dense, net=LeNet300100(width=width), training=learning),
                methods=(Dependence(layers=DENSE),),
            )
        learning = replace(conv.training, num_steps=self.num_conv_steps, snapshots=AtSteps())
        yield Arm(
            labels={"net": "conv-2", "width": self.conv_width},
            spec=replace(conv, net=Conv2(width=self.conv_width), training=learning),
            methods=(Dependence(layers=("conv2",)),),
        )

    @claim("In a wider layer the unit that matters most matters less.")
    def the_largest_falls(self, found: Found) -> Evidence:
        """The slope of the largest single change; 0.1, seven per cent for each doubling, is the least that counts."""
        return self._falls(found, "largest", "slope of log2 largest change on log2 width", 0.1)

    @claim("In a wider layer the mean unit matters less.")
    def the_mean_falls(self, found: Found) -> Evidence:
        """The slope of the mean single change; shared work would give -1 and less, so 0.1 is next to nothing."""
        return self._falls(found, "mean", "slope of log2 mean change on log2 width", 0.1)

    @claim("In a wider layer units matter more equally.")
    def evenness_grows(self, found: Found) -> Evidence:
        """Gini's coefficient of the rises by doubling of the width; 0.01 of a scale from 0 to 1 is the least."""
        return self._falls(found, "gini", "change of Gini's coefficient by doubling", 0.01)

    @claim("In a wider layer units are worth more nearly the same, over all orders of removal.")
    def worth_evens_out(self, found: Found) -> Evidence:
        """As for single changes, with Shapley values, which redundancy cannot hide."""
        what = "change of Gini's coefficient of Shapley values by doubling"
        return self._falls(found, "shapley_gini", what, 0.01)

    @claim("What units cost alone sums to less than what their layer costs.")
    def the_whole_exceeds_the_sum(self, found: Found) -> Evidence:
        """The share of what the whole layer costs that single changes leave unexplained; less than a tenth is none."""
        frame = found["dependence/distribution"]
        frame["rest"] = 1 - frame["sum"] / frame["whole"]
        return all_of(
            {
                layer: above(each, what="rest", least=0.1, among=len(LAYERS))
                for layer, each in _by_seed(frame, "rest").items()
            }
        )

    @claim("Pairs of units are super-additive on average.")
    def pairs_stand_in(self, found: Found) -> Evidence:
        """The sum of all interactions as a share of what the layer costs; below 1 % they explain nothing of it."""
        frame = found["dependence/interactions"]
        frame["share"] = frame["sum"] / frame["whole"]
        return all_of(
            {
                layer: above(each, what="sum / whole", least=0.01, among=len(LAYERS))
                for layer, each in _by_seed(frame, "share").items()
            }
        )

    @claim("Super-additive pairs have similar incoming weights.")
    def pairs_look_alike(self, found: Found) -> Evidence:
        """Rank correlation over pairs of the interaction and the cosine; below 0.1 it foretells nothing."""
        return self._related(found, "interactions", "rank_incoming_cosine")

    @claim("Super-additive pairs have similar outgoing weights.")
    def pairs_speak_alike(self, found: Found) -> Evidence:
        """As for incoming weights; the loss is convex, so that some of it is there in any network."""
        return self._related(found, "interactions", "rank_outgoing_cosine")

    @claim("Super-additive pairs have correlated outputs.")
    def pairs_fire_alike(self, found: Found) -> Evidence:
        """As for incoming weights."""
        return self._related(found, "interactions", "rank_output_correlation")

    @claim("Units with longer weight vectors cost more.")
    def norm_tells(self, found: Found) -> Evidence:
        """Rank correlation over units of the single change and the norm; below 0.1 it foretells nothing."""
        return self._related(found, "distribution", "rank_norm")

    @claim("Units whose direction is repeated in the layer cost less.")
    def repeated_directions_cost_less(self, found: Found) -> Evidence:
        """Rank correlation of the single change and the contribution to the frame potential."""
        return self._related(found, "distribution", "rank_frame_potential", -1)

    @claim("Units whose output another unit resembles cost less.")
    def resembled_units_cost_less(self, found: Found) -> Evidence:
        """Rank correlation of the single change and the largest |r| with another unit."""
        return self._related(found, "distribution", "rank_output_correlation", -1)

    @claim("What a unit costs alone tells what it is worth over all orders.")
    def alone_tells_worth(self, found: Found) -> Evidence:
        """Rank correlation of the single change and the Shapley value; below 0.5 one does not stand for the other."""
        return self._related(found, "distribution", "rank_shapley", least=0.5)

    def _falls(self, found: Found, column: str, what: str, least: float) -> Evidence:
        slopes = self._slopes(found, column)
        return all_of(
            {
                layer: below(each, what=what, least=least, among=len(DENSE))
                for layer, each in slopes.items()
            }
        )

    def _related(
        self, found: Found, table: str, column: str, sign: int = 1, least: float = 0.1
    ) -> Evidence:
        what = column.replace("rank_", "rank correlation with ").replace("_", " ")
        test = above if sign > 0 else below
        draws = _by_seed(found[f"dependence/{table}"], column)
        return all_of(
            {
                layer: test(each, what=what, least=least, among=len(LAYERS))
                for layer, each in draws.items()
            }
        )

    def _slopes(self, found: Found, column: str) -> "dict[str, pandas.Series[float]]":
        """Return for each dense layer the slope over log2 of the number of units, seed by seed."""
        frame = found["dependence/distribution"]
        frame["doublings"] = numpy.log2(frame["num_units"])
        if column in LOGGED:
            frame[column] = numpy.log2(frame[column].where(frame[column] > 0))
        return {
            layer: pick(frame, layer=layer)
            .groupby("replica")[["doublings", column]]
            .apply(lambda rows: float(numpy.polyfit(rows["doublings"], rows[column], 1)[0]))
            for layer in DENSE
        }

    def tables(self, found: Found) -> Mapping[str, pandas.DataFrame]:
        """Return what single changes and interactions are like at each width, as means over seeds."""
        keys = ["net", "layer", "num_units"]
        singles, pairs = found["dependence/distribution"], found["dependence/interactions"]
        pairs["sum_share"] = pairs["sum"] / pairs["whole"]
        pairs = pairs.drop(columns=["whole", "sum", "mean"])
        same = ["net", "width", "replica", "run", "layer"]
        frame = singles.merge(pairs, on=same, suffixes=("", "_of_pairs"))
        frame = frame.drop(columns=["width", "replica", "run", "num_examples", "num_pairs"])
        return {"by-width": frame.groupby(keys, sort=False).mean().reset_index()}

    def figures(self, found: Found) -> Mapping[str, "Figure"]:
        """Draw what width changes, how few units carry how much, and which pairs are super-additive."""
        singles = pick(found["dependence/distribution"], net="lenet-300-100")
        cosines = pick(found["dependence/cosines"], net="lenet-300-100")
        cosines = cosines[cosines["num_pairs"] >= 10]
        units = pick(found["dependence/units"], net="lenet-300-100")
        return {
            "changes": lines(
                _long(singles, CHANGES),
                "num_units",
                "value",
                by="layer",
                across="kind",
                labels=("units in the layer", "rise of the loss, nats"),
                log="xy",
            ),
            "inequality": lines(
                _long(singles, INEQUALITIES),
                "num_units",
                "value",
                by="layer",
                across="kind",
                labels=("units in the layer", "Gini's coefficient"),
                log="x",
                share_y=True,
            ),
            "concentration": lines(
                _concentration(units),
                "units",
                "rises",
                by="width",
                across="layer",
                labels=("share of the units, costliest first", "share of the rises"),
                share_y=True,
            ),
            "cosines": lines(
                cosines.assign(width=_factor(cosines)),
                "cosine",
                "share_super_additive",
                by="width",
                across="layer",
                labels=("cosine of incoming weights", "share super-additive"),
                share_y=True,
            ),
        }


def _by_seed(frame: pandas.DataFrame, column: str) -> "dict[str, pandas.Series[float]]":
    """Return a column by layer and seed, averaged over widths."""
    return {layer: pick(frame, layer=layer).groupby("replica")[column].mean() for layer in LAYERS}


def _long(singles: pandas.DataFrame, kinds: Mapping[str, str]) -> pandas.DataFrame:
    named = singles.rename(columns=dict(kinds))
    return named.melt(["layer", "num_units", "replica"], list(kinds.values()), "kind")


def _factor(frame: pandas.DataFrame) -> "pandas.Series[str]":
    return "width x " + frame["width"].astype(str)


def _concentration(units: pandas.DataFrame) -> pandas.DataFrame:
    """Return which share of all rises the first share of the units carries, those that cost most first."""
    places, parts = numpy.linspace(0, 1, 41), []
    units = units.assign(width=_factor(units))
    for (layer, width, replica), each in units.groupby(["layer", "width", "replica"], sort=False):
        rises = numpy.sort(each["loss_change"].clip(lower=0))[::-1].cumsum()
        carried = numpy.concatenate([[0.0], rises / rises[-1]])
        curve = numpy.interp(places, numpy.linspace(0, 1, len(carried)), carried)
        front = {"layer": layer, "width": width, "replica": replica}
        parts.append(pandas.DataFrame({**front, "units": places, "rises": curve}))
    return pandas.concat(parts)
