"""Dependence: what a layer loses with each unit, with each two, and on the way to none."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import Cell, InvalidArgument, Table, derive, register
from surplus.methods.ablation import layer_of
from surplus.methods.context import Context
from surplus.methods.method import Method
from surplus.methods.results import Results
from surplus.methods.subject import Subject, subject_of_run
from surplus.methods.unit_facts import LIKENESSES, UnitFacts, unit_facts
from surplus.passes import gini, rank_correlation, sampled
from surplus.passes.estimates import NORMAL
from surplus.store import Run
from surplus.training import progress

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
NATS = ("loss_change", "loss_lower", "loss_upper", "shapley_loss", "loss_interaction")
Row = dict[str, Cell]


@register("dependence")
@dataclass(frozen=True, kw_only=True, slots=True)
class Dependence(Method):
    """Remove each unit of a layer, each two units, and all units in random orders; everything exactly, on validation.

    A change is what is found without the unit minus what is found with it: a unit that helps raises the loss and lowers
    the accuracy when it goes. The interaction of two units is the change without both minus the two changes alone; if
    it raises the loss, the pair is *super-additive*, and each of the two stands in for the other. The tables, where all
    losses are in nats per example:

    - `units`: each unit's changes and Shapley values with 95 % intervals (over examples, and over orders), norm,
      contribution to the frame potential, and largest |r| of its output with that of another;
    - `distribution`, a row per layer: how unequal the changes are (Gini's coefficient and the share of the first tenth
      are those of the rises), how many are within their interval of 0, their sum beside what the whole layer is worth,
      and Spearman's correlation of the changes with the other columns of `units`;
    - `interactions`, a row per layer: their distribution, their sum over pairs, and Spearman's correlation with the
      cosines of the units' weights and the correlation of their outputs;
    - `strongest`, the pairs of largest |interaction|; `cosines`, interactions by the cosine of the incoming weights.

    Reference: own; decisions/0023-units-in-pairs.md.
    """

    layers: tuple[str, ...] | None = None
    """The layers; None takes all whose units can be removed."""
    num_examples: int | None = 2_000
    """How many examples of the validation part at most, drawn by the seed; None takes all."""
    num_draws: int = 16
    """How many pairs of opposite orders the Shapley values rest on."""
    num_strongest: int = 20
    """How many pairs to list."""
    num_bins: int = 20
    """Into how many classes of equal width the cosines are divided."""
    seed: int = 0
    """Of whatever is drawn."""

    def __post_init__(self) -> None:
        if self.num_bins < 1 or self.num_strongest < 0:
            raise InvalidArgument(
                f"`num_bins` is {self.num_bins} and `num_strongest` is {self.num_strongest}; there must be at least one"
                " class of cosines, and no negative number of pairs."
            )

    def compute(self, run: Run, context: Context) -> Results:
        """Look at the run's network as it was in the end."""
        return Results(tables=self.tables(subject_of_run(run, context), context.progress))

    def tables(self, subject: Subject, shown: bool = False) -> dict[str, Table]:
        """Return the tables of a network.

        Raises:
            UnknownName: a layer that the model does not have.
            InvalidArgument: a layer whose units cannot be removed or seen, or fewer than two draws.
        """
        names = subject.units.names(self.layers)
        data = sampled(subject.parts.validation, self.num_examples, self.seed)
        rows: dict[str, list[Row]] = {}
        with progress("dependence", len(names), "layers", shown) as bar:
            for done, name in enumerate(names):
                bar.update(done, name)
                layer = replace(layer_of(subject, name), data=data)
                facts = unit_facts(layer, self.num_draws, derive(self.seed, "orders", name))
                for table, row in self._found(facts):
                    rows.setdefault(table, []).append({"layer": name, **row})
        return {
            table: Table.from_rows(found, {name: "nats" for name in NATS if name in found[0]})
            for table, found in rows.items()
        }

    def _found(self, facts: UnitFacts) -> Iterator[tuple[str, Row]]:
        """Yield rows with the names of their tables."""
        yield from (("units", row) for row in _units(facts))
        yield "distribution", _distribution(facts)
        first, second = torch.triu_indices(len(facts.units), len(facts.units), 1)
        if not len(first):
            return
        interactions = facts.pairs.loss_interaction[first, second]
        likeness = {name: facts.likeness[name][first, second] for name in LIKENESSES}
        yield "interactions", _interactions(interactions, likeness, facts.whole)
        for row in self._by_cosine(interactions, likeness["incoming_cosine"]):
            yield "cosines", row
        correct = facts.pairs.correct_interaction[first, second].double() / facts.pairs.num_examples
        strongest = interactions.abs().argsort(descending=True, stable=True)[: self.num_strongest]
        for place in strongest.tolist():
            yield (
                "strongest",
                {
                    "first": facts.units[first[place]],
                    "second": facts.units[second[place]],
                    "loss_interaction": float(interactions[place]),
                    "accuracy_interaction": float(correct[place]),
                    **{name: float(likeness[name][place]) for name in LIKENESSES},
                },
            )

    def _by_cosine(
        self, interactions: Float[Tensor, " pairs"], cosines: Float[Tensor, " pairs"]
    ) -> Iterator[Row]:
        which = ((cosines + 1) / 2 * self.num_bins).long().clamp(0, self.num_bins - 1)
        for bin_number in range(self.num_bins):
            some = interactions[which == bin_number]
            if not len(some):
                continue
            yield {
                "cosine": (2 * bin_number + 1) / self.num_bins - 1,
                "num_pairs": len(some),
                "mean": float(some.mean()),
                "share_super_additive": _share(some > 0),
            }


def _units(facts: UnitFacts) -> Iterator[Row]:
    pairs, worth, n = facts.pairs, facts.shapley, facts.pairs.num_examples
    accuracy = pairs.correct_change.double() / n
    spread = pairs.num_changed.double() / n - accuracy.square()
    accuracy_half = NORMAL * (spread.clamp_min(0) / max(n - 1, 1)).sqrt()
    columns = {
        **_with_interval("loss", pairs.loss_change, NORMAL * pairs.loss_error),
        **_with_interval("accuracy", accuracy, accuracy_half),
        **_with_interval("shapley_loss", worth.loss, worth.loss_half),
        **_with_interval("shapley_accuracy", worth.accuracy, worth.accuracy_half),
        "norm": facts.norm,
        "frame_potential": facts.frame_potential,
        "output_correlation": facts.nearest_correlation,
    }
    for place, unit in enumerate(facts.units):
        yield {"unit": unit, **{name: float(each[place]) for name, each in columns.items()}}


def _with_interval(
    name: str, middle: Float[Tensor, " units"], half: Float[Tensor, " units"]
) -> dict[str, Tensor]:
    value = name if name.startswith("shapley") else f"{name}_change"
    return {value: middle, f"{name}_lower": middle - half, f"{name}_upper": middle + half}


def _distribution(facts: UnitFacts) -> Row:
    pairs, worth = facts.pairs, facts.shapley
    change = pairs.loss_change
    rises = change.clamp_min(0).sort(descending=True).values
    tenth = -(-len(rises) // 10)
    with_change = {
        "norm": facts.norm,
        "frame_potential": facts.frame_potential,
        "output_correlation": facts.nearest_correlation,
        "shapley": worth.loss,
    }
    return {
        "num_units": len(facts.units),
        "num_examples": pairs.num_examples,
        "full_loss": pairs.full_loss,
        "full_accuracy": pairs.full_correct / pairs.num_examples,
        "whole": facts.whole,
        "whole_accuracy": float(worth.accuracy.sum()),
        "sum": float(change.sum()),
        "largest": float(change.max()),
        "mean": float(change.mean()),
        "gini": gini(rises),
        "share_of_first_tenth": float(rises[:tenth].sum() / rises.sum()) if rises.any() else None,
        "share_within_interval": _share(change.abs() <= NORMAL * pairs.loss_error),
        "shapley_largest": float(worth.loss.max()),
        "shapley_gini": gini(worth.loss.clamp_min(0)),
        **{f"rank_{name}": rank_correlation(change, each) for name, each in with_change.items()},
    }


def _interactions(
    interactions: Float[Tensor, " pairs"], likeness: dict[str, Tensor], whole: float
) -> Row:
    cuts = np.quantile(interactions.numpy(), QUANTILES).tolist()
    return {
        "num_pairs": len(interactions),
        "whole": whole,
        "sum": float(interactions.sum()),
        "mean": float(interactions.mean()),
        "share_super_additive": _share(interactions > 0),
        "share_zero": _share(interactions == 0),
        **{f"quantile_{at:g}": cut for at, cut in zip(QUANTILES, cuts, strict=True)},
        **{f"rank_{name}": rank_correlation(interactions, likeness[name]) for name in LIKENESSES},
    }


def _share(which: Tensor) -> float:
    return float(which.double().mean())
