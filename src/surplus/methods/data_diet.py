"""Data diet: training on those examples only that a network errs in most early on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from surplus.base import Cell, InvalidArgument, Net, Table, check_sparsity, derive, label, register
from surplus.measures.el2n import error_norms
from surplus.methods.context import Context
from surplus.methods.launch import train_all
from surplus.methods.method import Method
from surplus.methods.results import Results
from surplus.methods.runs import model_of, spec_of
from surplus.passes import performance, rank_correlation
from surplus.store import Run
from surplus.tasks import Classification, ImagePart
from surplus.training import Spec
from surplus.training.moments.at_steps import AtSteps
from surplus.training.schedules.constant import Constant

ALL, OWN, OTHER, NORM, RANDOM = "all", "el2n", "el2n of another", "input norm", "random"
Scores = Float[Tensor, " examples"]


@register("data-diet")
@dataclass(frozen=True, kw_only=True, slots=True)
class DataDiet(Method):
    """Remove the training examples of lowest score, and train a network anew on the rest for as many steps.

    The scores are EL2N, the mean length of the error of networks trained for a few steps from seeds of their own; the
    same from networks of another shape; the length of the input; and chance. Each replica has its own scoring networks
    and its own draw. `accuracies` has a row for each part trained on and for all examples, `agreement` one for each
    score: its rank correlation with EL2N, and which share of the examples that EL2N keeps it keeps, too.

    Reference: paul2021deep, Sections 2 and 3; kirsch2023does for the length of the input.
    A part is trained on from the run's own initialisation. Scoring networks are trained for `at` steps only, without a
    schedule: at the learning rate with which a run begins.
    """

    references: ClassVar = ("paul2021deep", "kirsch2023does")

    at: int = 500
    """After how many steps of training examples are scored."""
    sparsity: float = 0.5
    """The fraction of examples removed."""
    num_scorers: int = 5
    """Over how many networks the scores are averaged."""
    other: Net | None = None
    """Another network, whose scores are tried, too."""

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)
        for name in ("at", "num_scorers"):
            if getattr(self, name) < 1:
                raise InvalidArgument(f"`{name}` is {getattr(self, name)}; it must be at least 1.")

    def compute(self, run: Run, context: Context) -> Results:
        """Train the networks that score, then those that are judged.

        Raises:
            InvalidArgument: the run's task does not take a `subset` of its examples, or the run began in another one.
        """
        spec = spec_of(run)
        _check(spec, run)
        part = context.parts(spec.task).train
        assert isinstance(part, ImagePart)
        scores = self._scores(spec, run.seed, part, context)
        kept = {name: self._kept(each) for name, each in scores.items()}
        num_steps = spec.training.clock(len(part)).num_steps
        runs = train_all(
            [(_on(spec, places, num_steps), run.seed) for places in kept.values()],
            context,
            self.kind,
        )
        judged = {ALL: run, **dict(zip(kept, runs, strict=True))}
        rows = [
            {
                "trained_on": name,
                "scored_by": self._scorer(name, spec),
                **_accuracies(each, context),
            }
            for name, each in judged.items()
        ]
        return Results(
            tables={"accuracies": Table.from_rows(rows), "agreement": _agreement(scores, kept)},
            values={"runs": {name: each.name for name, each in judged.items()}},
        )

    def _scores(
        self, spec: Spec, seed: int, part: ImagePart, context: Context
    ) -> Mapping[str, Scores]:
        """Return the scores of all training examples, higher = keep, in double precision."""
        generator = torch.Generator().manual_seed(derive(seed, "data-diet"))
        nets = {OWN: spec.net} if self.other is None else {OWN: spec.net, OTHER: self.other}
        learnt = {name: self._el2n(spec, net, seed, part, context) for name, net in nets.items()}
        norms = [inputs.flatten(1).double().norm(dim=1) for inputs, _ in part]
        return {
            **learnt,
            NORM: torch.cat(norms),
            RANDOM: torch.rand(len(part), generator=generator, dtype=torch.float64),
        }

    def _el2n(self, spec: Spec, net: Net, seed: int, part: ImagePart, context: Context) -> Scores:
        """Return the mean EL2N score of each example over networks that saw nothing of the run's seed."""
        training = replace(
            spec.training,
            num_epochs=None,
            num_steps=self.at,
            schedule=Constant(),
            snapshots=AtSteps(),
            forks=(),
            probes=(),
        )
        wanted = replace(spec, net=net, training=training)
        seeds = [derive(seed, "scorer", place) >> 31 for place in range(self.num_scorers)]
        runs = train_all([(wanted, each) for each in seeds], context, self.kind)
        return torch.stack([error_norms(model_of(run)[0], part) for run in runs]).mean(0)

    def _kept(self, scores: Scores) -> Int[Tensor, " kept"]:
        """Return the positions of the highest scores, in the order of the examples; of equal ones the first."""
        num = max(1, round((1 - self.sparsity) * len(scores)))
        return scores.sort(descending=True, stable=True).indices[:num].sort().values

    def _scorer(self, name: str, spec: Spec) -> str | None:
        if name == OTHER:
            return None if self.other is None else label(self.other)
        return label(spec.net) if name == OWN else None


def _check(spec: Spec, run: Run) -> None:
    if not isinstance(spec.task, Classification):
        raise InvalidArgument(
            f"{run.name} learnt `{spec.task.kind}`, which has no `subset`; a data diet needs an image task."
        )
    if spec.start is not None:
        raise InvalidArgument(
            f"{run.name} begins in another run, which has seen all examples; take one that begins at initialisation."
        )


def _on(spec: Spec, places: Int[Tensor, " kept"], num_steps: int) -> Spec:
    """Return the spec of training on some of the examples, for a number of steps."""
    assert isinstance(spec.task, Classification)
    chosen = places.tolist()
    if spec.task.subset is not None:
        chosen = [spec.task.subset[place] for place in chosen]
    training = replace(
        spec.training, num_epochs=None, num_steps=num_steps, snapshots=AtSteps(), forks=()
    )
    return replace(spec, task=replace(spec.task, subset=tuple(chosen)), training=training)


def _accuracies(run: Run, context: Context) -> dict[str, Cell]:
    model, _ = model_of(run)
    parts = context.parts(spec_of(run).task)
    return {
        "num_examples": len(parts.train),
        "validation_accuracy": performance(model, parts.validation).accuracy,
        "test_accuracy": performance(model, parts.test).accuracy,
    }


def _agreement(scores: Mapping[str, Scores], kept: Mapping[str, Int[Tensor, " kept"]]) -> Table:
    """Return how far each score agrees with EL2N."""
    own = set(kept[OWN].tolist())
    return Table.from_rows(
        [
            {
                "score": name,
                "rank_correlation": rank_correlation(scores[OWN], scores[name]),
                "kept_share": len(own & set(kept[name].tolist())) / len(own),
            }
            for name in scores
            if name != OWN
        ]
    )
