"""Subspace: whether the first dense layer is a few directions, and whether other networks find the same ones."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import pandas

from surplus.base import Net, register
from surplus.measures import JointSubspace, LowRankAccuracy, Spectrum, SubspaceAngles
from surplus.methods import Measuring, address
from surplus.nets import Conv2, Redrawn
from surplus.studies.arm import Arm
from surplus.studies.claim import claim
from surplus.studies.evidence import Evidence, above, all_of, below, undecided
from surplus.studies.found import Found, paired, pick
from surplus.studies.plotting import lines
from surplus.studies.questions.who_decides import CLASSIFIER, CONVOLUTIONS, WhoDecides
from surplus.studies.study import Study
from surplus.training import Spec, recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEPT: Final = 10
ENOUGH: Final = 16
PUBLISHED: Final = {"conv-2": (70.25, 6.34), "conv-6": (56.53, 3.46), "vgg-19-bn": (99.99, 0.0)}
RECIPES: Final = {
    "conv-2": "conv2-cifar10",
    "conv-6": "conv6-cifar10",
    "vgg-19-bn": "vgg19-cifar10",
}
OWN: Final = "own"
OTHER_CLASSIFIER: Final = "other classifier"
REDRAWN: Final = {OTHER_CLASSIFIER: CLASSIFIER, "all other": CONVOLUTIONS + CLASSIFIER}


@register("subspace")
@dataclass(frozen=True, kw_only=True, slots=True)
class Subspace(Study):
    """Truncate the first dense layer of trained convolutional networks to rank 10, and compare networks' subspaces.

    Networks learn CIFAR-10. The first dense layer's weights W are replaced by their best approximation of rank 10, and
    what training added, W - Z, by its own; the network is judged on 1,000 test images. Conv-2 has two companions that
    see the same batches: in one the dense layers were drawn anew, in the other all layers. The leading subspaces of
    rank 10 of the layer in both networks are compared by their principal angles, beside those of random subspaces, and
    by what one joint subspace keeps of the squared norm of both.

    Reference: heitmann2020sources, the report's section on subspaces; corrected values of Conv-6 from its notebook.
    The published scale is that of the recipes; the default is the small Conv-2 of `who-decides`, whose runs it shares.
    """

    references: ClassVar = ("heitmann2020sources",)
    question: ClassVar = (
        "Is the first dense layer a few directions, and do other networks find the same?"
    )
    smoke: ClassVar = {"seeds": 2, "small": WhoDecides(num_examples=2000, num_epochs=1)}
    full: ClassVar = {"seeds": 10, "nets": ("conv-2", "conv-6", "vgg-19-bn"), "small": None}

    seeds: int = 5
    """How many replicas."""
    nets: tuple[str, ...] = ("conv-2",)
    """The networks."""
    small: WhoDecides | None = WhoDecides()
    """The study whose small Conv-2 is used; None trains the recipes at full width."""

    def arms(self) -> Iterable[Arm]:
        """Yield the networks, each with its companions."""
        accuracy = LowRankAccuracy(
            ranks=(KEPT, ENOUGH), layers=("fc1",), together=False, num_draws=1
        )
        spectrum = Spectrum(ranks=(KEPT,), eigenvalues=True)
        start = Measuring(by=(spectrum,), at=0, num_examples=1000)
        trained = Measuring(by=(accuracy, spectrum), part="test", num_examples=1000)
        for name in self.nets:
            first = self._spec(name)
            yield Arm(labels={"net": name, "start": OWN}, spec=first, methods=(start, trained))
            if name == "conv-2":
                shared = Measuring(
                    by=(SubspaceAngles(rank=KEPT), JointSubspace(rank=KEPT)),
                    layers=("fc1",),
                    against=address(first),
                )
                for start_of_other, layers in REDRAWN.items():
                    labels = {"net": name, "start": start_of_other}
                    yield Arm(labels=labels, spec=self._spec(name, layers), methods=(shared,))

    def _spec(self, name: str, redrawn: tuple[str, ...] = ()) -> Spec:
        def started(net: Net) -> Net:
            return Redrawn(inner=net, layers=redrawn) if redrawn else net

        if self.small is not None:
            return self.small.spec(started(Conv2(width=self.small.width)))
        known = recipe(RECIPES[name])
        return Spec(net=started(known.net), task=known.task, training=known.training)

    @claim(
        "Networks with the same convolutions and other dense layers train the first dense layer towards the same"
        " directions: principal angles of 31 to 40 degrees at rank 10.",
        source="heitmann2020sources",
        place="report, subspaces across runs",
        needs="full",
    )
    def angles_are_as_published(self, found: Found) -> Evidence:
        """The mean principal angle of Conv-2's first dense layer, between 31 and 40 degrees."""
        degrees = _angles(found, OTHER_CLASSIFIER)
        return _between(degrees, 31, 40, "mean principal angle, degrees")

    @claim(
        "Networks that share convolutions share more of the directions than random subspaces do.",
        place="control of the angles",
    )
    def directions_are_shared(self, found: Found) -> Evidence:
        """The mean angle of random subspaces minus that between the two networks; five degrees would matter."""
        frame = pick(found["measuring/findings"], net="conv-2", layer="fc1", start=OTHER_CLASSIFIER)
        gain = paired(
            frame,
            "value",
            {"quantity": "mean_random_angle_degrees"},
            {"quantity": "mean_angle_between_runs_degrees"},
        )
        return above(gain, what="degrees below random subspaces", least=5)

    @claim(
        "The elbow of the first dense layer's spectrum lies at the number of classes.",
        source="heitmann2020sources",
        place="report, r = 10 for every first dense layer",
    )
    def elbow_is_ten(self, found: Found) -> Evidence:
        """The elbow of Conv-2's trained `fc1`, between 8 and 12."""
        frame = pick(found.quantity("elbow_rank"), net="conv-2", layer="fc1")
        return _between(frame[frame["step"] > 0]["value"], 8, 12, "elbow of the spectrum")

    @claim(
        "Rank 10 of the first dense layer keeps 70 % of the norm of Conv-2, 57 % of Conv-6, and all of VGG-19.",
        source="heitmann2020sources",
        place="report, table of truncations; ten runs of Conv-6 in the notebook",
        needs="full",
    )
    def norms_are_as_published(self, found: Found) -> Evidence:
        """100 ||W_10|| / ||W||, within three points of the published mean."""
        return self._as_published(found, 0, 3.0, "share of the norm kept, per cent")

    @claim(
        "It costs 6.3 points of accuracy in Conv-2, 3.5 in Conv-6, and nothing in VGG-19.",
        source="heitmann2020sources",
        place="report, table of truncations; ten runs of Conv-6 in the notebook",
        needs="full",
    )
    def losses_are_as_published(self, found: Found) -> Evidence:
        """Accuracy lost, within two points of the published mean."""
        return self._as_published(found, 1, 2.0, "accuracy lost, points")

    @claim(
        "What training added to the first dense layer is simpler than the layer: at rank 10 it costs less accuracy.",
        place="the truncations of W and of W - Z side by side",
    )
    def updates_are_simpler(self, found: Found) -> Evidence:
        """Accuracy lost by truncating W minus that by truncating W - Z, in Conv-2; a point would matter."""
        table = pick(truncations(found), net="conv-2")
        return above(table["lost"] - table["update_lost"], what="points more for W", least=1)

    def _as_published(self, found: Found, place: int, slack: float, what: str) -> Evidence:
        table = truncations(found)
        missing = set(PUBLISHED) - set(table["net"])
        if missing:
            return undecided(what, f"not trained at this scale: {', '.join(sorted(missing))}")
        return all_of(
            {
                net: _between(
                    pick(table, net=net)[("kept", "lost")[place]],
                    values[place] - slack,
                    values[place] + slack,
                    what,
                    among=len(PUBLISHED),
                )
                for net, values in PUBLISHED.items()
            }
        )

    def tables(self, found: Found) -> Mapping[str, pandas.DataFrame]:
        """Return the truncations as published, and how the subspaces of two networks lie."""
        frame = found["measuring/findings"]
        shown = frame["quantity"].str.fullmatch("(mean|own|other|joint|doubled)_.*(degrees|share)")
        pairs = frame[shown & (frame["start"] != OWN)]
        columns = ["kept", "lost", "update_lost"]
        means = pairs.groupby(["quantity", "start"], sort=False)["value"].mean()
        by_net = truncations(found).groupby("net")[columns]
        return {
            "truncations": by_net.mean().join(by_net.std().add_suffix("_deviation")).reset_index(),
            "subspaces": means.unstack("start").reset_index(),
        }

    def figures(self, found: Found) -> Mapping[str, "Figure"]:
        """Return the spectra of the first dense layer before and after training."""
        spectra = pick(found.quantity("eigenvalue"), layer="fc1").copy()
        spectra["singular"] = spectra["value"].clip(lower=0) ** 0.5
        spectra["when"] = spectra["step"].gt(0).map({True: "trained", False: "at initialisation"})
        labels = ("number", "singular value")
        return {"spectra": lines(spectra, "at", "singular", by="when", across="net", labels=labels)}


def truncations(found: Found) -> pandas.DataFrame:
    """Return for each convolutional network what rank 10 of the first dense layer keeps of its norm, and costs."""
    frame = found["measuring/findings"]
    frame = frame[(frame["start"] == OWN) & (frame["step"] > 0)]
    rows = []
    for (net, replica), part in frame.groupby(["net", "replica"], sort=False):
        layer = pick(part, layer="fc1", at=float(KEPT)).set_index("quantity")["value"]
        whole = pick(part, quantity="accuracy")["value"].iloc[0]
        rows.append(
            {
                "net": net,
                "replica": replica,
                "kept": 100 * math.sqrt(max(0.0, 1 - layer["relative_error"] ** 2)),
                "lost": 100 * (whole - layer["truncated_weight_accuracy"]),
                "update_lost": 100 * (whole - layer["truncated_update_accuracy"]),
            }
        )
    return pandas.DataFrame(rows)


def _angles(found: Found, start: str) -> "pandas.Series[float]":
    frame = found.quantity("mean_angle_between_runs_degrees")
    return pick(frame, net="conv-2", layer="fc1", start=start)["value"]


def _between(
    values: "pandas.Series[float]", low: float, high: float, what: str, among: int = 1
) -> Evidence:
    """Test whether a mean lies between two bounds."""
    parts = 2 * among
    return all_of(
        {
            "above": above(values, what=what, bound=low, among=parts),
            "below": below(values, what=what, bound=high, among=parts),
        }
    )
