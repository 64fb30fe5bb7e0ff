"""Who decides: whether what a layer learns depends on how later layers began."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import pandas

from surplus.base import Net, register
from surplus.measures import CKA, MatchedCosines
from surplus.methods import History, Measuring, address
from surplus.nets import Conv2, Redrawn, Seeded
from surplus.studies.arm import Arm
from surplus.studies.claim import claim
from surplus.studies.evidence import Evidence, above, all_of, below
from surplus.studies.found import Found, paired, pick
from surplus.studies.plotting import lines
from surplus.studies.study import Study
from surplus.tasks import CIFAR10
from surplus.training import Spec, Training
from surplus.training.moments import AtSteps
from surplus.training.optimizers import Adam
from surplus.training.probes import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BATCH: Final = 60
CONVOLUTIONS: Final = ("conv1", "conv2")
CLASSIFIER: Final = ("fc1", "fc2", "fc3")
TWIN: Final = "other batches"
LATER: Final = "other classifier"
EARLIER: Final = "other convolutions"
FLOOR: Final = "all other"
REDRAWN: Final[Mapping[str, tuple[str, ...]]] = {
    TWIN: (),
    LATER: CLASSIFIER,
    EARLIER: CONVOLUTIONS,
    FLOOR: CONVOLUTIONS + CLASSIFIER,
}


@register("who-decides")
@dataclass(frozen=True, kw_only=True, slots=True)
class WhoDecides(Study):
    """Train pairs of Conv-2, and compare the two networks of a pair layer by layer.

    The first network of each pair has a seed of its own for weights and batches. The second sees the same batches in
    the same order, and begins with the same weights but for those drawn anew: the classifier's (all dense layers), the
    convolutions', or all, which is the floor. With nothing drawn anew it would be the same network, so the fourth cell
    of the design has other batches, which is the ceiling: all that is not decided by initial weights. What the layers
    compute is compared by CKA on training images, their filters by the cosine in place and matched one to one, and
    what training added to them by the cosine of the updates. All but the last also at initialisation.

    Reference: heitmann2020sources, the report's section on subspaces, where the classifier is drawn anew.
    There all training images, 20,000 updates and one pair; the default is a fifth of the width, and fewer images.
    """

    references: ClassVar = ("heitmann2020sources",)
    question: ClassVar = (
        "Does what a layer learns depend on how later layers began, or on earlier ones only?"
    )
    smoke: ClassVar = {"seeds": 2, "num_examples": 2000, "num_epochs": 1}
    full: ClassVar = {"seeds": 10, "width": 1.0, "num_examples": 45_000, "num_epochs": 27}

    seeds: int = 5
    """How many pairs."""
    width: float = 0.2
    """Multiplies the number of units of every hidden layer."""
    num_examples: int = 10_000
    """How many training images."""
    num_epochs: int = 4
    """How long each network is trained."""

    def arms(self) -> Iterable[Arm]:
        """Yield for each pair the first network, and every second one."""
        net = Conv2(width=self.width)
        first = self.spec(net)
        for pair in range(self.seeds):
            yield Arm(
                labels={"second": "none", "pair": pair},
                spec=first,
                methods=(History(),),
                seeds=(pair,),
            )
            name = f"{address(first)}/seed-{pair:04d}"
            for second, redrawn in REDRAWN.items():
                start = (
                    Redrawn(inner=net, layers=redrawn) if redrawn else Seeded(inner=net, seed=pair)
                )
                yield Arm(
                    labels={"second": second, "pair": pair},
                    spec=self.spec(start),
                    methods=(History(), *self._compared(name)),
                    seeds=(pair if redrawn else pair + self.seeds,),
                )

    def spec(self, net: Net) -> Spec:
        """Return how a network is trained."""
        num_steps = self.num_epochs * (self.num_examples // BATCH)
        training = Training(
            optimizer=Adam(learning_rate=1.2e-3),
            batch_size=BATCH,
            num_steps=num_steps,
            snapshots=AtSteps(),
            probes=(Evaluation(at=AtSteps(given=(num_steps,)), parts=("validation",)),),
        )
        return Spec(
            net=net, task=CIFAR10(subset=tuple(range(self.num_examples))), training=training
        )

    def _compared(self, against: str) -> tuple[Measuring, ...]:
        by = (CKA(), MatchedCosines())
        start = Measuring(by=by, at=0, against=against, against_at=0, num_examples=2000)
        return start, Measuring(by=by, against=against, num_examples=2000)

    @claim(
        "If only the classifier is drawn anew, the trained filters of the convolutions are nearly the same.",
        source="heitmann2020sources",
        place="report, subspaces across runs",
    )
    def filters_stay(self, found: Found) -> Evidence:
        """The mean cosine of filters in place, after training; nearly the same are those less than 26 degrees apart."""
        return all_of(
            {
                layer: above(
                    _trained(found, "cosine_in_place", second=LATER, layer=layer)["value"],
                    what="cosine of filters in place",
                    bound=0.9,
                    among=len(CONVOLUTIONS),
                )
                for layer in CONVOLUTIONS
            }
        )

    @claim(
        "What the convolutions learn does not depend on the classifier's initialisation: drawing it anew changes their"
        " updates no more than another order of the batches does.",
        source="heitmann2020sources",
        place="report, conjecture on earlier and later layers",
    )
    def updates_of_convolutions_stay(self, found: Found) -> Evidence:
        """The update's cosine, other batches minus other classifier, of each pair; 0.1 would matter.

        Filters alone would look alike because they began alike, so what training added is compared.
        """
        frame = _trained(found, "update_cosine")
        return all_of(
            {
                layer: below(
                    paired(
                        pick(frame, layer=layer),
                        "value",
                        {"second": TWIN},
                        {"second": LATER},
                        "pair",
                    ),
                    what="loss of the updates' cosine",
                    bound=0.1,
                    among=len(CONVOLUTIONS),
                )
                for layer in CONVOLUTIONS
            }
        )

    @claim(
        "What the first dense layer learns depends on the initialisation of the convolutions before it.",
        source="heitmann2020sources",
        place="report, conjecture on earlier and later layers",
    )
    def earlier_layers_matter(self, found: Found) -> Evidence:
        """The update's cosine, other batches minus other convolutions, of each pair; 0.1 would matter."""
        frame = pick(_trained(found, "update_cosine"), layer="fc1")
        lost = paired(frame, "value", {"second": TWIN}, {"second": EARLIER}, "pair")
        return above(lost, what="loss of the updates' cosine", least=0.1)

    @claim(
        "What the last convolution computes is decided more by its own initialisation than by the classifier's.",
        place="the two main effects of the design",
    )
    def own_start_decides(self, found: Found) -> Evidence:
        """CKA of the two networks' `conv2`, other classifier minus other convolutions; 0.05 would matter."""
        frame = pick(_cka(found), layer="conv2")
        gained = paired(frame, "value", {"second": LATER}, {"second": EARLIER}, "pair")
        return above(gained, what="CKA", least=0.05)

    @claim(
        "Training brings networks of different initialisation closer to each other than they began.",
        place="the control at initialisation",
    )
    def training_brings_together(self, found: Found) -> Evidence:
        """CKA where all was drawn anew, after training minus before, of the last hidden layer; 0.05 would matter."""
        frame = pick(_cka(found, trained=None), layer="fc2", second=FLOOR)
        gained = paired(frame, "value", {"trained": True}, {"trained": False}, "pair")
        return above(gained, what="CKA gained by training", least=0.05)

    def tables(self, found: Found) -> Mapping[str, pandas.DataFrame]:
        """Return the means over pairs, and how well the networks do."""
        both = pandas.concat([_cka(found, trained=None), *(_all(found, each) for each in SHOWN)])
        means = both.groupby(["quantity", "trained", "layer", "second"], sort=False)["value"].mean()
        last = found["history/events"].groupby(["second", "pair"], sort=False).last()
        return {
            "likeness": means.unstack("second").reset_index(),
            "accuracy": last.groupby("second", sort=False)["validation_accuracy"]
            .agg(["mean", "std"])
            .reset_index(),
        }

    def figures(self, found: Found) -> Mapping[str, "Figure"]:
        """Return the likeness of the pairs, layer by layer."""
        shown = pandas.concat([_cka(found), *(_trained(found, each) for each in SHOWN)])
        shown["what"] = shown["quantity"].map(NAMES)
        return {
            "likeness": lines(
                shown,
                "layer",
                "value",
                by="second",
                across="what",
                replica="pair",
                labels=("layer", "likeness of the two networks"),
                columns=2,
            )
        }


NAMES: Final[Mapping[str, str]] = {
    "linear_cka": "what is computed (CKA)",
    "cosine_in_place": "weights in place (cosine)",
    "matched_cosine": "weights matched (cosine)",
    "update_cosine": "what training added (cosine)",
}
SHOWN: Final = ("cosine_in_place", "matched_cosine", "update_cosine")


def _all(found: Found, quantity: str) -> pandas.DataFrame:
    """Return the rows of a quantity, with whether they are from after training."""
    frame = found.quantity(quantity).copy()
    return frame.assign(trained=frame["step"] > 0)


def _trained(found: Found, quantity: str, **equal: str) -> pandas.DataFrame:
    return pick(_all(found, quantity), trained=True, **equal)


def _cka(found: Found, trained: bool | None = True) -> pandas.DataFrame:
    """Return the alignment of each layer with the same layer of the other network."""
    frame = _all(found, "linear_cka")
    same = frame[frame["layer"] == frame["other"]]
    return same if trained is None else pick(same, trained=trained)
