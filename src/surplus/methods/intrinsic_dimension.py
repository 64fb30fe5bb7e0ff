"""Intrinsic dimension: how few random directions are enough to learn a task."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from surplus.base import Cell, InvalidArgument, Table, label, register
from surplus.methods.context import Context
from surplus.methods.launch import train_all
from surplus.methods.method import Method
from surplus.methods.results import Results
from surplus.methods.runs import model_of, spec_of
from surplus.methods.searching import Search
from surplus.passes import mean_estimate, performance
from surplus.store import Run
from surplus.training import Optimizer, Projection, Spec
from surplus.training.moments.at_steps import AtSteps
from surplus.training.optimizers.subspace import Subspace, subspace_of
from surplus.training.projections.fastfood import Fastfood

Judged = Literal["validation", "train"]
Key = tuple[Projection, int]  # a projection and a seed: what the dimension is searched for


@register("intrinsic-dimension")
@dataclass(frozen=True, kw_only=True, slots=True)
class IntrinsicDimension(Method):
    """Train in random subspaces of growing dimension d, until that is nearly as good as training all D parameters.

    The parameters are theta_0 + P x, and only the d numbers of x are trained. The least d whose accuracy reaches a
    share of the baseline's, its mean over the replicas, is found for each replica: up a geometric grid, then by
    bisection. Every training is a run of its own, so that what was interrupted goes on where it stopped. `curve` has a
    row for each training, `dimensions` one for each replica; `values` hold the mean of d with its 95 % interval.

    Reference: li2018intrinsic, Section 2.2, d_int90.
    A replica has its own initialisation, order of examples and subspace. The search is on validation, unless the
    question is how many directions it takes to fit the training examples.
    """

    references = ("li2018intrinsic",)

    projections: tuple[Projection, ...] = (Fastfood(),)
    """How the subspaces are drawn, side by side."""
    num_replicas: int = 3
    """How many seeds, from the run's own on."""
    share: float = 0.9
    """Which share of the baseline's accuracy is enough."""
    optimizer: Optimizer | None = None
    """The optimiser of the coordinates; None takes the run's own. Few coordinates often bear a larger learning rate."""
    first: int = 16
    """Where the grid of dimensions begins."""
    largest: int | None = None
    """Where it ends; None goes on to the number of parameters."""
    factor: float = 2.0
    """The ratio of neighbours on the grid."""
    tolerance: float = 0.1
    """By which share of itself a result may be too large."""
    part: Judged = "validation"
    """The part whose accuracy has to be enough; "train" asks for what is memorised, as with random labels."""

    def __post_init__(self) -> None:
        if not self.projections:
            raise InvalidArgument("`projections` is empty; name at least one, such as Fastfood().")
        if not 0 < self.share <= 1:
            raise InvalidArgument(f"`share` is {self.share}; it must lie in (0, 1].")
        if not self.factor > 1:
            raise InvalidArgument(f"`factor` is {self.factor}; it must be greater than 1.")
        if self.tolerance < 0:
            raise InvalidArgument(f"`tolerance` is {self.tolerance}; it must not be negative.")
        if self.part not in get_args(Judged):
            raise InvalidArgument(
                f'`part` is {self.part!r}; it must be "validation" or, for what is memorised, "train".'
            )
        for name in ("num_replicas", "first", "largest"):
            given = getattr(self, name)
            if given is not None and given < 1:
                raise InvalidArgument(f"`{name}` is {given}; it must be at least 1.")

    def compute(self, run: Run, context: Context) -> Results:
        """Train the baselines and the networks in subspaces.

        Raises:
            InvalidArgument: the run itself was trained in a random subspace, or on a task without labels.
        """
        spec = spec_of(run)
        if subspace_of(spec.training.optimizer) is not None:
            raise InvalidArgument(
                f"{run.name} was trained in a random subspace itself; take a run that trained all parameters."
            )
        seeds = range(run.seed, run.seed + self.num_replicas)
        baselines = train_all([(spec, seed) for seed in seeds], context, self.kind)
        rows = [
            {
                "projection": "none",
                "dimension": None,
                "seed": each.seed,
                **self._accuracies(each, context),
            }
            for each in baselines
        ]
        model, _ = model_of(run)
        size = sum(each.numel() for each in model.parameters() if each.requires_grad)
        enough = self.share * _mean(rows, f"{self.part}_accuracy")
        searches = self._searches(seeds, size)
        while wanted := {key: d for key, each in searches.items() if (d := each.next())}:
            rows += self._wave(spec, wanted, searches, enough, context)
        baseline = _mean(rows[: len(seeds)], "test_accuracy")
        return self._results(rows, searches, size, {"enough": enough, "baseline": baseline})

    def spec(self, spec: Spec, projection: Projection, dimension: int) -> Spec:
        """Return the spec of a training in a subspace, of which only the end is kept."""
        optimizer = Subspace(
            inner=self.optimizer or spec.training.optimizer,
            dimension=dimension,
            projection=projection,
        )
        training = replace(
            spec.training, optimizer=optimizer, snapshots=AtSteps(), forks=(), probes=()
        )
        start = None if spec.start is None else replace(spec.start, optimizer=False)
        return replace(spec, training=training, start=start)

    def _searches(self, seeds: Sequence[int], size: int) -> dict[Key, Search]:
        largest = min(self.largest or size, size)
        return {
            (projection, seed): Search(self.first, largest, self.factor, self.tolerance)
            for projection in self.projections
            for seed in seeds
        }

    def _wave(
        self,
        spec: Spec,
        wanted: dict[Key, int],
        searches: dict[Key, Search],
        enough: float,
        context: Context,
    ) -> list[dict[str, Cell]]:
        """Train once for every search that is not over, replicas of one dimension together."""
        specs = [
            (self.spec(spec, projection, dimension), seed)
            for (projection, seed), dimension in wanted.items()
        ]
        rows: list[dict[str, Cell]] = []
        for (key, dimension), run in zip(
            wanted.items(), train_all(specs, context, self.kind), strict=True
        ):
            projection, seed = key
            found = self._accuracies(run, context)
            searches[key].tell(dimension, found[f"{self.part}_accuracy"] >= enough)
            named: dict[str, Cell] = {
                "projection": label(projection),
                "dimension": dimension,
                "seed": seed,
            }
            rows.append({**named, **found})
        return rows

    def _accuracies(self, run: Run, context: Context) -> dict[str, float]:
        model, _ = model_of(run)
        task = spec_of(run).task
        parts = context.parts(task)
        found = {
            part: performance(model, getattr(parts, part), task.loss)
            for part in (self.part, "test")
        }
        return {f"{part}_accuracy": each.hits() / each.num_examples for part, each in found.items()}

    def _results(
        self,
        rows: list[dict[str, Cell]],
        searches: dict[Key, Search],
        size: int,
        values: dict[str, Any],
    ) -> Results:
        dimensions: list[dict[str, Cell]] = [
            {
                "projection": label(projection),
                "seed": seed,
                "dimension": search.found,
                "num_parameters": size,
                "compression": None if search.found is None else size / search.found,
            }
            for (projection, seed), search in searches.items()
        ]
        found = {
            label(projection): _summary(
                [each.found for (other, _), each in searches.items() if other == projection], size
            )
            for projection in self.projections
        }
        tables = {"curve": Table.from_rows(rows), "dimensions": Table.from_rows(dimensions)}
        return Results(tables=tables, values={"num_parameters": size, **values, "found": found})


def _summary(found: list[int | None], size: int) -> dict[str, Any]:
    """Return the mean dimension with its interval; where a replica never got there, there is no mean."""
    reached = [float(each) for each in found if each is not None]
    counts = {"num_replicas": len(found), "num_reached": len(reached)}
    if len(reached) < len(found):
        return {**counts, "dimension": None, "interval": None, "compression": None}
    mean, lower, upper, _ = mean_estimate(reached)
    return {
        **counts,
        "dimension": mean,
        "interval": None if lower is None else [lower, upper],
        "compression": size / mean,
    }


def _mean(rows: Sequence[dict[str, Cell]], name: str) -> float:
    return statistics.fmean(float(row[name] or 0) for row in rows)
