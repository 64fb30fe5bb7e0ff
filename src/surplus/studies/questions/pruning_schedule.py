"""Pruning schedule: from when on does removing units cost nothing?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import pandas

from surplus.base import Cell, register
from surplus.methods.scheduled import ScheduledPruning
from surplus.scores import Score
from surplus.scores.frame_potential import FramePotential
from surplus.scores.magnitude import Magnitude
from surplus.scores.random import Random
from surplus.studies.arm import Arm
from surplus.studies.claim import claim
from surplus.studies.evidence import Evidence, above, all_of, below
from surplus.studies.found import Found, paired, pick
from surplus.studies.plotting import lines
from surplus.studies.study import Study
from surplus.training import recipe
from surplus.training.moments.at_steps import AtSteps
from surplus.training.probes.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST = 0.25
"""The smallest cost that counts, in points: 25 of the 10,000 test images."""
UNPRUNED, START = {"arm": "unpruned"}, {"arm": "random at start"}


@register("pruning-schedule")
@dataclass(frozen=True, kw_only=True, slots=True)
class PruningSchedule(Study):
    """Fork a network at chosen moments of its training, remove units of its first layer, and let all forks go on.

    LeNet-300-100 learns MNIST (Adam, rate 0.0012, batches of 60). Each fork takes the optimiser's state along, sees the
    batches that the unpruned network sees, and ends at the same step; a removed unit never comes back. Units go by
    norm, by frame-potential contribution (isolated ones first), or at random. Beside the forks stand the network that
    is never pruned and one that begins with as many units fewer, drawn at random. All are compared by the test accuracy
    in the end, replica by replica; a cost of less than 0.25 points counts as none.

    Reference: heitmann2020sources, Section 4.
    The source prunes several nets without replicas; the default scale is two passes over the data.
    """

    references: ClassVar = ("heitmann2020sources",)
    question: ClassVar = "From when on does removing units cost nothing?"
    smoke: ClassVar = {"seeds": 2, "num_steps": 60}
    full: ClassVar = {
        "seeds": 10,
        "num_steps": 18_320,
        "moments": (0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8),
        "sparsities": (0.5, 0.7, 0.8, 0.9, 0.95),
    }

    seeds: int = 5
    """How many networks are forked."""
    net: str = "lenet-mnist"
    """The recipe of net, task and optimiser."""
    num_steps: int = 1800
    """The length of training in updates."""
    moments: tuple[float, ...] = (0.0, 0.05, 0.3, 0.7)
    """When to fork, as fractions of the training."""
    sparsities: tuple[float, ...] = (0.5, 0.9)
    """The fractions of the first layer's units that go; claims are on the least and the greatest."""
    scores: tuple[Score, ...] = (Magnitude(), FramePotential(), Random())
    """What the units go by."""

    def arms(self) -> Iterable[Arm]:
        """Return an arm for each criterion and fraction; all share the unpruned networks."""
        published = recipe(self.net)
        training = replace(
            published.training,
            num_epochs=None,
            num_steps=self.num_steps,
            snapshots=AtSteps(),
            forks=self.steps(),
            probes=(Evaluation(at=AtSteps(given=(*self.steps(), self.num_steps))),),
        )
        spec = replace(published, training=training)
        for score in self.scores:
            for sparsity in self.sparsities:
                pruning = ScheduledPruning(
                    at=self.steps(), sparsity=sparsity, score=score, layers=("fc1",)
                )
                labels: dict[str, Cell] = {"score": score.kind, "sparsity": sparsity}
                yield Arm(labels=labels, spec=spec, methods=(pruning,))

    def steps(self) -> tuple[int, ...]:
        """Return the steps at which to fork."""
        return tuple(round(moment * self.num_steps) for moment in self.moments)

    @claim(
        "Removing half of the units by norm costs nothing, whenever it is done.",
        place="that the source asks from when on removal costs nothing, Section 4",
    )
    def half_can_always_go(self, found: Found) -> Evidence:
        """The cost against the unpruned network lies below 0.25 points at every moment."""
        ends = _ends(found, score="magnitude", sparsity=self.sparsities[0])
        return all_of(
            {
                f"at {step}": below(
                    100 * paired(ends, "test_accuracy", UNPRUNED, _at(step)),
                    bound=LEAST,
                    what="cost of pruning, points",
                    among=len(self.moments),
                )
                for step in self.steps()
            }
        )

    @claim(
        "Removing most of the units by norm costs less late in training than at the start.",
        place="that units show only in training which of them are needed; Section 4 of the source",
    )
    def late_removal_costs_less(self, found: Found) -> Evidence:
        """The last fork against that at step 0, at the largest fraction; the late fork has less time to recover."""
        ends = _ends(found, score="magnitude", sparsity=self.sparsities[-1])
        gain = paired(ends, "test_accuracy", _at(self.steps()[-1]), _at(self.steps()[0]))
        return above(100 * gain, least=LEAST, what="gain of waiting, points")

    @claim(
        "Most of the units can go late in training at no cost.",
        place="that the source asks from when on removal costs nothing, Section 4",
    )
    def most_can_go_late(self, found: Found) -> Evidence:
        """The cost of removing the largest fraction by norm at the last moment lies below 0.25 points."""
        ends = _ends(found, score="magnitude", sparsity=self.sparsities[-1])
        cost = paired(ends, "test_accuracy", UNPRUNED, _at(self.steps()[-1]))
        return below(100 * cost, bound=LEAST, what="cost of pruning, points")

    @claim(
        "Training the whole network first and pruning it by norm is better than beginning with a small one.",
        place="the control of the source's schedule: random at the start, Section 4",
    )
    def pruning_beats_beginning_small(self, found: Found) -> Evidence:
        """The best moment after the start, chosen on validation, against random units gone at the start."""
        ends = _ends(found, score="magnitude", sparsity=self.sparsities[-1])
        later = ends[ends["arm"].isin([_at(step)["arm"] for step in self.steps()[1:]])]
        best = later.groupby("arm")["validation_accuracy"].mean().idxmax()
        gain = paired(ends, "test_accuracy", {"arm": str(best)}, START)
        return above(100 * gain, least=LEAST, what=f"gain of {best} over random at start, points")

    @claim(
        "When training goes on afterwards, it matters by which criterion the units went.",
        place="that networks recover from removals; the source compares criteria without retraining, Section 3",
    )
    def the_criterion_matters(self, found: Found) -> Evidence:
        """Norm against random units at the same moment, averaged over the moments after the start, largest fraction."""
        ends = pick(_ends(found), sparsity=self.sparsities[-1])
        forks = ends[ends["arm"].isin([_at(step)["arm"] for step in self.steps()[1:]])]
        gain = paired(forks, "test_accuracy", {"score": "magnitude"}, {"score": "random"})
        return above(100 * gain, least=LEAST, what="gain of norm over random, points")

    def tables(self, found: Found) -> Mapping[str, pandas.DataFrame]:
        """Return the test accuracy in the end, in percent."""
        keys = ["score", "sparsity", "arm"]
        grouped = _ends(found).groupby(keys, sort=False)["test_accuracy"]
        return {
            "ends": (100 * grouped.agg(["mean", "std"])).assign(n=grouped.count()).reset_index()
        }

    def figures(self, found: Found) -> Mapping[str, "Figure"]:
        """Draw the accuracy in the end against the step of pruning, with the unpruned and the small network."""
        ends = _ends(found)
        ends["units removed by"] = ends["score"]
        pieces = [ends[ends["arm"].str.startswith("pruned")]]
        for control in (UNPRUNED, START):
            flat = pick(ends, score=ends["score"].iloc[0], **control)
            for step in (self.steps()[0], self.steps()[-1]):
                pieces.append(flat.assign(pruned_at=step, **{"units removed by": control["arm"]}))
        frame = pandas.concat(pieces)
        frame["share"] = "removed: " + frame["sparsity"].map("{:.0%}".format)
        return {
            "ends": lines(
                frame,
                "pruned_at",
                "test_accuracy",
                by="units removed by",
                across="share",
                labels=("step of pruning", "test accuracy in the end"),
                columns=2,
            )
        }


def _at(step: int) -> dict[str, str]:
    return {"arm": f"pruned at {step}"}


def _ends(found: Found, **chosen: str | float) -> pandas.DataFrame:
    """Return the last evaluation of every network."""
    history = found["scheduled-pruning/history"]
    last = history[history["step"] == history["step"].max()]
    return pick(last, **chosen).copy()
