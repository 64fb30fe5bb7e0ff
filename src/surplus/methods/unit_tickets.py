"""Unit tickets: whether the units that end up largest were better to begin with."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from surplus.base import Cell, Table, check_sparsity, derive, register
from surplus.masks import Mask, Scores, keep
from surplus.methods.context import Context
from surplus.methods.launch import train_all
from surplus.methods.method import Method
from surplus.methods.results import Results
from surplus.methods.runs import spec_of
from surplus.methods.subject import Subject, subject_of_run
from surplus.scores import Score, score
from surplus.scores.magnitude import Magnitude
from surplus.scores.random import Random
from surplus.store import Run
from surplus.training import From, Spec


@register("unit-tickets")
@dataclass(frozen=True, kw_only=True, slots=True)
class UnitTickets(Method):
    """Keep a part of each layer's units, put them back to their initial weights, and train them alone as before.

    Kept are those that a criterion wants most to keep in the trained network (`ticket`), those it wants least
    (`worst`), or as many at random (`random`), which for independent initial weights is as good as a fresh
    initialisation. All arms see the same batches. `history` has their evaluations, with those of the whole network
    (`dense`).

    Reference: frankle2019lottery, Section 1, with units in place of weights.
    """

    references = ("frankle2019lottery",)

    sparsity: float = 0.75
    """The fraction of each layer's units that goes."""
    score: Score = Magnitude()
    """The criterion."""
    layers: tuple[str, ...] | None = None
    """The layers; None takes all whose units can be removed."""

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)

    def compute(self, run: Run, context: Context) -> Results:
        """Train the arms; each is a run of its own."""
        spec = spec_of(run)
        masks = self.masks(subject_of_run(run, context), run.seed)
        arms = [(name, _rewound(spec, run, mask)) for name, mask in masks.items()]
        trained = train_all([(each, run.seed) for _, each in arms], context, self.kind)
        named = [("dense", run), *zip(masks, trained, strict=True)]
        rows = [row for name, each in named for row in _history(name, each)]
        values = {"runs": {name: each.name for name, each in named}}
        return Results(tables={"history": Table.from_rows(rows)}, values=values)

    def masks(self, subject: Subject, seed: int) -> dict[str, Mask]:
        """Return which units each arm keeps."""

        def scored(by: Score) -> Scores:
            data = subject.parts.validation
            return score(subject.model, subject.units, by, data, self.layers, subject.mask)

        found = scored(self.score)
        drawn = scored(Random(seed=derive(seed, "unit-tickets")))
        arms = {"ticket": found, "random": drawn, "worst": found.map(torch.neg)}
        return {name: keep(each, self.sparsity) for name, each in arms.items()}


def _rewound(spec: Spec, run: Run, mask: Mask) -> Spec:
    start = From(run=run.fingerprint, step=0, seed=run.seed, mask=mask, optimizer=False)
    return replace(spec, start=start)


def _history(arm: str, run: Run) -> Iterator[dict[str, Cell]]:
    for event in run.series("evaluation"):
        yield {"arm": arm, "step": event.step, **event.values}
