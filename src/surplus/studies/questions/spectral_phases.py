"""Spectral phases: how the spectrum of a layer leaves that of noise, by training time, batch size and width."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import pandas

from surplus.base import Net, Task, register
from surplus.measures import MarchenkoPasturFit, PowerLawTail, Spectrum
from surplus.methods import History, Measuring
from surplus.nets import MLP, AlexNetSmall
from surplus.studies.arm import Arm
from surplus.studies.claim import claim
from surplus.studies.evidence import Evidence, above, all_of, below
from surplus.studies.found import Found, paired, pick
from surplus.studies.plotting import lines
from surplus.studies.reading import exponents
from surplus.studies.study import Study
from surplus.tasks import CIFAR10, MNIST
from surplus.training import Spec, Training
from surplus.training.moments import AtSteps
from surplus.training.optimizers import SGD
from surplus.training.probes import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TIMES: Final = (0.0, 0.01, 0.1, 0.3, 1.0)
EQUAL_EPOCHS: Final = "batch size, equal epochs"
EQUAL_UPDATES: Final = "batch size, equal updates"
WIDTH: Final = "width"
NUM_CLASSES: Final = 10


@register("spectral-phases")
@dataclass(frozen=True, kw_only=True, slots=True)
class SpectralPhases(Study):
    """Fit the law of noise and a power law to the spectrum of the first dense layer of networks that train by SGD.

    Three rows of networks: batch sizes at an equal number of epochs, as published; the smallest batch and two others at
    an equal number of updates, since small batches also make more steps; and widths of the first dense layer. The
    spectrum is looked at five times. Spikes are eigenvalues three fluctuations beyond the edge of the fitted noise; the
    exponent alpha and the phase are those of the layer's eigenvalues. Beside each number stands that of the same matrix
    with its entries permuted, and that at initialisation.

    Reference: martin2021implicit, Section 6 for batch sizes, Section 5 for phases.
    There MiniAlexNet learns CIFAR-10 with batches of 500 down to 2; the default is a dense network on 6,000 digits. The
    rule that tells phases apart is our own (decisions/0017-phases.md).
    """

    references: ClassVar = ("martin2021implicit",)
    question: ClassVar = (
        "How does the spectrum of a layer leave that of noise, and what sets how far it goes?"
    )
    smoke: ClassVar = {"seeds": 2, "num_epochs": 2, "batch_sizes": (8, 32, 128)}
    full: ClassVar = {
        "seeds": 10,
        "published": True,
        "batch_sizes": (2, 4, 8, 16, 32, 64, 128, 256, 512),
        "num_examples": 45_000,
        "num_epochs": 100,
    }

    seeds: int = 5
    """How many replicas."""
    published: bool = False
    """Whether the small AlexNet learns CIFAR-10, instead of a dense network digits."""
    batch_sizes: tuple[int, ...] = (4, 16, 64, 256)
    """The batch sizes, ascending; widths are varied at the second one."""
    widths: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    """Multipliers of the number of units."""
    num_examples: int = 6000
    """How many training images."""
    num_epochs: int = 10
    """How long each network is trained."""

    def arms(self) -> Iterable[Arm]:
        """Yield the batch sizes at equal epochs, those at equal updates, and the widths."""
        smallest, usual, larger = self.batch_sizes[:3]
        for size in self.batch_sizes:
            yield self._arm(EQUAL_EPOCHS, size, 1.0, self._num_steps(size))
        for size in (smallest, usual, larger):
            yield self._arm(EQUAL_UPDATES, size, 1.0, self._num_steps(usual))
        for width in self.widths:
            yield self._arm(WIDTH, usual, width, self._num_steps(usual))

    def _num_steps(self, batch_size: int) -> int:
        return self.num_epochs * (self.num_examples // batch_size)

    def _arm(self, varied: str, batch_size: int, width: float, num_steps: int) -> Arm:
        looks = sorted({round(time * num_steps) for time in TIMES})
        training = Training(
            optimizer=SGD(learning_rate=0.01, momentum=0.9)
            if self.published
            else SGD(learning_rate=0.02),
            batch_size=batch_size,
            num_steps=num_steps,
            snapshots=AtSteps(given=tuple(looks)),
            probes=(Evaluation(at=AtSteps(given=(num_steps,)), parts=("test",)),),
        )
        by = (
            MarchenkoPasturFit(),
            PowerLawTail(num_draws=5, num_resamples=0),
            Spectrum(ranks=(0,)),
        )
        return Arm(
            labels={"varied": varied, "batch_size": batch_size, "width": width},
            spec=Spec(net=self._net(width), task=self._task(), training=training),
            methods=(History(), *(Measuring(by=by, at=step, num_examples=100) for step in looks)),
        )

    def _net(self, width: float) -> Net:
        if self.published:
            return AlexNetSmall(width=width)
        return MLP(widths=(round(256 * width), 128))

    def _task(self) -> Task:
        chosen = tuple(range(self.num_examples))
        return CIFAR10(subset=chosen) if self.published else MNIST(subset=chosen)

    @claim(
        "Smaller batches give the first dense layer a heavier tail.",
        source="martin2021implicit",
        place="Section 6, MiniAlexNet at batch sizes of 500 to 2",
    )
    def small_batches_have_heavy_tails(self, found: Found) -> Evidence:
        """Alpha with the largest batch minus that with the smallest, equal epochs; 0.5 would matter.

        Alphas of noise differ by more than that from draw to draw, so less could not be told from it.
        """
        return self._heavier(found, EQUAL_EPOCHS, self.batch_sizes[-1])

    @claim(
        "They do so at an equal number of updates, too.",
        place="control: at equal epochs, small batches make more steps",
    )
    def heavy_tails_at_equal_updates(self, found: Found) -> Evidence:
        """Alpha with the third batch size minus that with the smallest, equal updates; 0.5 would matter."""
        return self._heavier(found, EQUAL_UPDATES, self.batch_sizes[2])

    @claim(
        "With the smallest batch the tail is heavier than that of the same weights in random places.",
        place="control: alpha of noise is not infinite in small matrices",
    )
    def tails_are_no_entries(self, found: Found) -> Evidence:
        """Alpha of the layer with its entries permuted minus that of the layer; 0.5 would matter."""
        frame = pick(_last(found), varied=EQUAL_EPOCHS, batch_size=self.batch_sizes[0])
        gap = paired(frame, "value", {"quantity": "permuted_alpha"}, {"quantity": "alpha"})
        return above(gap, what="alpha, permuted minus trained", least=0.5)

    @claim(
        "The number of directions outside the bulk grows with training.",
        source="martin2021implicit",
        place="Section 5, from random-like to bulk and spikes",
    )
    def spikes_grow(self, found: Found) -> Evidence:
        """Spikes after training minus before, usual batch and width; less than one direction would be none."""
        frame = pick(_of(found, "num_spikes"), varied=WIDTH, width=1.0)
        grown = paired(frame, "value", {"when": "trained"}, {"when": "at initialisation"})
        return above(grown, what="spikes gained", least=1)

    @claim(
        "These are directions: the same weights in random places have fewer of them.",
        place="control: large entries make spikes too",
    )
    def spikes_are_no_entries(self, found: Found) -> Evidence:
        """Spikes of the trained layer minus those of its permutations; less than one would be none."""
        frame = pick(_last(found), varied=WIDTH, width=1.0)
        gap = paired(
            frame, "value", {"quantity": "num_spikes"}, {"quantity": "permuted_num_spikes"}
        )
        return above(gap, what="spikes more than permuted", least=1)

    @claim(
        "The number of directions outside the bulk stays at about the number of classes however wide the layer is.",
        place="whether the trained part is a subspace as large as the number of classes",
    )
    def spikes_stay_bounded(self, found: Found) -> Evidence:
        """Spikes at each width below one and a half times the number of classes."""
        frame = pick(_last(found), varied=WIDTH, quantity="num_spikes")
        groups = {f"width {width:g}": rows["value"] for width, rows in frame.groupby("width")}
        bound = 1.5 * NUM_CLASSES
        return all_of(
            {
                name: below(values, what="spikes", bound=bound, among=len(groups))
                for name, values in groups.items()
            }
        )

    @claim(
        "It does not grow with width.",
        place="whether the trained part is a subspace as large as the number of classes",
    )
    def spikes_do_not_grow_with_width(self, found: Found) -> Evidence:
        """The slope of log spikes over log width in each replica, below 0.25: 1.4 times for four times the width."""
        frame = pick(_last(found), varied=WIDTH, quantity="num_spikes")
        slopes = exponents(frame, "width", "value")
        return below(slopes, what="slope of log spikes over log width", bound=0.25)

    def _heavier(self, found: Found, varied: str, larger: int) -> Evidence:
        frame = pick(_last(found), varied=varied, quantity="alpha")
        gap = paired(frame, "value", {"batch_size": larger}, {"batch_size": self.batch_sizes[0]})
        return above(gap, what=f"alpha, batches of {larger} minus {self.batch_sizes[0]}", least=0.5)

    def tables(self, found: Found) -> Mapping[str, pandas.DataFrame]:
        """Return the numbers of trained layers beside their controls, and how many replicas are in which phase."""
        keys = ["varied", "batch_size", "width"]
        last = _last(found)
        shown = [
            *CONTROLLED,
            *(f"permuted_{each}" for each in CONTROLLED),
            "initial_alpha",
            "stable_rank",
        ]
        means = (
            last[last["quantity"].isin(shown)]
            .groupby([*keys, "quantity"], sort=False)["value"]
            .mean()
        )
        phases = pick(last, quantity="phase").groupby([*keys, "note"], sort=False).size()
        accuracy = found["history/events"].groupby(keys, sort=False)["test_accuracy"].mean()
        return {
            "spectra": means.unstack("quantity").join(accuracy).reset_index(),
            "phases": phases.rename("replicas").reset_index().rename(columns={"note": "phase"}),
        }

    def figures(self, found: Found) -> Mapping[str, "Figure"]:
        """Return alpha against batch size, and spikes against training time for every width."""
        last = _last(found)
        tails = last[last["quantity"].isin(["alpha", "permuted_alpha"]) & (last["varied"] != WIDTH)]
        tails = tails.assign(
            weights=tails["quantity"].map({"alpha": "trained", "permuted_alpha": "permuted"}),
            doublings=tails["batch_size"].map(math.log2),
        )
        frame = pick(found["measuring/findings"], varied=WIDTH, layer="fc1")
        spikes = frame[frame["quantity"].isin(["num_spikes", "permuted_num_spikes"])]
        spikes = spikes.assign(
            weights=spikes["quantity"].map(
                {"num_spikes": "trained", "permuted_num_spikes": "permuted"}
            ),
            panel="width " + spikes["width"].map("{:g}".format),
        )
        return {
            "tails": lines(
                tails,
                "doublings",
                "value",
                by="weights",
                across="varied",
                labels=("batch size, log2", "exponent of the tail"),
                share_y=True,
            ),
            "spikes": lines(
                spikes,
                "step",
                "value",
                by="weights",
                across="panel",
                labels=("updates", "directions outside the bulk"),
                share_y=True,
                columns=2,
            ),
        }


CONTROLLED: Final = ("alpha", "num_spikes", "spike_share", "soft_rank")


def _of(found: Found, quantity: str) -> pandas.DataFrame:
    """Return a quantity of the first dense layer, with whether it is from before or after training."""
    frame = pick(found.quantity(quantity), layer="fc1")
    end = frame.groupby(["varied", "batch_size", "width"])["step"].transform("max")
    when = frame["step"].map(lambda step: "at initialisation" if step == 0 else "between")
    return frame.assign(when=when.where(frame["step"] < end, "trained"))


def _last(found: Found) -> pandas.DataFrame:
    """Return all that is said of the first dense layer after training."""
    frame = pick(found["measuring/findings"], layer="fc1")
    end = frame.groupby(["varied", "batch_size", "width"])["step"].transform("max")
    return frame[frame["step"] == end]
