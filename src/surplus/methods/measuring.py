"""Measuring a run: what measures find at one of its snapshots."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from torch import Tensor

from surplus.base import InvalidArgument, register
from surplus.measures import Measure, check_measures, findings, observed, table_of
from surplus.measures.observed import Observed
from surplus.measures.report import report_measures
from surplus.methods.context import Context
from surplus.methods.method import Method
from surplus.methods.results import Results
from surplus.methods.runs import model_of, spec_of, units_of
from surplus.passes import sampled
from surplus.store import Run

PartName = Literal["train", "validation", "test"]


@register("measuring")
@dataclass(frozen=True, kw_only=True, slots=True)
class Measuring(Method):
    """Ask measures about the network of a run at one snapshot; `findings` has one row per number found.

    All that several measures need is gathered in one pass over a sample of one part of the data. What judges a choice
    is judged on the validation part, and what compares parts sees them all.

    Reference: own; decisions/0013-measuring.md.
    """

    by: tuple[Measure, ...] = field(default_factory=report_measures)
    """The measures; those of the report unless others are named."""
    at: int | None = None
    """The step of the snapshot; None takes the last."""
    part: PartName = "train"
    """The part of the data to look at."""
    num_examples: int | None = 10_000
    """How many examples of it at most, drawn by the seed; None takes all."""
    layers: tuple[str, ...] | None = None
    """The layers; None takes all that have weights."""
    seed: int = 0
    """Of whatever is drawn."""
    against: str | None = None
    """A second run in the same folder of runs, to compare with, by its name; a fingerprint alone means its replica
    of this run's own seed, if there is one."""
    against_at: int | None = None
    """The step of its snapshot; None takes the last."""

    def __post_init__(self) -> None:
        check_measures(self.by)
        if self.part not in get_args(PartName):
            raise InvalidArgument(
                f'`part` is {self.part!r}; it must be "train", "validation" or "test".'
            )
        if self.num_examples is None:
            return
        if not isinstance(self.num_examples, int):
            raise InvalidArgument(
                f"`num_examples` is {self.num_examples!r}; it must be a whole number, or None for all."
            )
        if self.num_examples < 1:
            raise InvalidArgument(
                f"`num_examples` is {self.num_examples}; it must be at least 1, or None for all."
            )

    def steps(self, run: Run) -> list[int]:
        """Return the snapshot and the first one, which measures may look at; all, if one looks at all times."""
        known = sorted(run.snapshots())
        if any("history" in measure.needs for measure in self.by):
            return sorted({*known, self.step_of(run)})
        return sorted({*known[:1], self.step_of(run)} if 0 in known else {self.step_of(run)})

    def step_of(self, run: Run) -> int:
        """Return the step of the snapshot that is measured."""
        return max(run.snapshots(), default=-1) if self.at is None else self.at

    def compute(self, run: Run, context: Context) -> Results:
        """Measure the network."""
        seen = self.seen(run, context)
        if self.against is not None:
            second = replace(self, against=None, at=self.against_at)
            seen = replace(seen, other=second.seen(self._other(run, context), context))
        table = table_of(findings(seen, self.by), step=self.step_of(run))
        return Results(tables={"findings": table})

    def _other(self, run: Run, context: Context) -> Run:
        """Return the run to compare with."""
        assert self.against is not None
        if "/" not in self.against:
            sibling = context.store.run(self.against, run.seed)
            if sibling.path.is_dir():
                return sibling
        return context.store.find(self.against)

    def seen(self, run: Run, context: Context) -> Observed:
        """Return all that measures may look at."""
        model, mask = model_of(run, self.step_of(run))
        parts = context.parts(spec_of(run).task)
        units = units_of(run, model, context)
        if mask is not None and mask.over == "units":
            mask = mask.bind(units)
        first = model_of(run, 0)[0].state_dict() if 0 in run.snapshots() else None
        return observed(
            model,
            units,
            self.by,
            sampled(getattr(parts, self.part), self.num_examples, self.seed),
            layers=self.layers,
            parts=parts,
            part=self.part,
            initial=first,
            mask=mask,
            history=lambda: _history(run),
            seed=self.seed,
        )


def _history(run: Run) -> Iterable[tuple[int, Mapping[str, Tensor]]]:
    for step in sorted(run.snapshots()):
        yield step, model_of(run, step)[0].state_dict()
