"""Scheduled pruning: from when on does removal cost nothing?"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from surplus.base import Cell, InvalidArgument, Table, check_sparsity, register
from surplus.methods.context import Context
from surplus.methods.launch import train_all
from surplus.methods.method import Method
from surplus.methods.results import Results
from surplus.methods.runs import address, spec_of
from surplus.scores import Score
from surplus.scores.magnitude import Magnitude
from surplus.scores.random import Random
from surplus.store import Run
from surplus.training import From, Spec
from surplus.training.interventions.pruning import Pruning


@register("scheduled-pruning")
@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduledPruning(Method):
    """At chosen steps of training, fork the network, prune a fraction, and let all forks go on on the same batches.

    Beside the forks stand the network that is never pruned, and one that is pruned at random before training. A fork
    carries the optimiser's state along, so a fork that removes nothing is the unpruned network, bit for bit.

    Reference: heitmann2020sources, Section 4.
    """

    references = ("heitmann2020sources",)

    at: tuple[int, ...]
    """The steps at which to fork."""
    sparsity: float
    """The fraction of each layer's units to remove."""
    score: Score = Magnitude()
    """The criterion."""
    layers: tuple[str, ...] | None = None
    """The layers; None takes all whose units can be removed."""
    highest: bool = False
    """Remove what the criterion wants most to keep, instead of what it wants least."""

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)
        if not self.at or min(self.at) < 0:
            raise InvalidArgument(f"`at` is {self.at}; it takes at least one step, counted from 0.")

    def compute(self, run: Run, context: Context) -> Results:
        """Train the dense network with the forks' steps kept, the forks, and the control; all are runs of their own.

        Raises:
            InvalidArgument: a step lies before the beginning or beyond the end of the run.
        """
        spec = spec_of(run)
        self._check_steps(spec, len(context.parts(spec.task).train))
        arms = self.arms(spec)
        runs = []
        for wave in (arms[:1], arms[1:]):  # the forks need what the dense network leaves behind
            runs += train_all([(spec, run.seed) for _, _, spec in wave], context, self.kind)
        rows = [
            row
            for (name, step, _), each in zip(arms, runs, strict=True)
            for row in _history(name, step, each)
        ]
        values = {"runs": {name: each.name for (name, _, _), each in zip(arms, runs, strict=True)}}
        return Results(tables={"history": Table.from_rows(rows)}, values=values)

    def arms(self, spec: Spec) -> list[tuple[str, int, Spec]]:
        """Return name, step of pruning and spec of every arm: the dense network first."""
        begin = 0 if spec.start is None else spec.start.step
        kept = tuple(sorted({*spec.training.forks, *self.at}))
        dense = replace(spec, training=replace(spec.training, forks=kept))
        forked = replace(spec, training=replace(spec.training, forks=()))
        arms = [("unpruned", 0, dense)]
        for step in sorted(set(self.at)):
            start = From(run=address(dense), step=step)
            interventions = (*spec.interventions, self._pruning(self.score, step, self.highest))
            arms.append(
                (
                    f"pruned at {step}",
                    step,
                    replace(forked, start=start, interventions=interventions),
                )
            )
        control = (*spec.interventions, self._pruning(Random(), begin, False))
        arms.append(("random at start", begin, replace(forked, interventions=control)))
        return arms

    def _check_steps(self, spec: Spec, num_train: int) -> None:
        begin = 0 if spec.start is None else spec.start.step
        end = spec.training.clock(num_train).num_steps
        wrong = [step for step in self.at if not begin <= step <= end]
        if wrong:
            raise InvalidArgument(
                f"`at` holds {', '.join(map(str, wrong))}, but the run goes from step {begin} to step {end}."
            )

    def _pruning(self, score: Score, step: int, highest: bool) -> Pruning:
        return Pruning(
            sparsity=self.sparsity,
            score=score,
            layers=self.layers,
            first=step,
            last=step,
            highest=highest,
        )


def _history(arm: str, pruned_at: int, run: Run) -> Iterator[dict[str, Cell]]:
    for event in run.series("evaluation"):
        yield {"arm": arm, "pruned_at": pruned_at, "step": event.step, **event.values}
