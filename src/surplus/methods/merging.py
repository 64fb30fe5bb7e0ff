"""Merging: remove units one by one, and let a unit that is left take over what the removed one did."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from surplus.base import Cell, InvalidArgument, Table, label, register
from surplus.edits import StandIns, unmergeable
from surplus.masks import Mask
from surplus.methods.ablation import UNITS, layer_of
from surplus.methods.context import Context
from surplus.methods.method import Method
from surplus.methods.results import Results
from surplus.methods.subject import Subject, sampled_subject, subject_of_run
from surplus.passes import TakingOver, stand_ins
from surplus.passes.geometry import directions
from surplus.scores import Layer, Score, order_of_removal
from surplus.scores.magnitude import Magnitude
from surplus.store import Run

TakenOver = Literal["nothing", "nearest", "fitted"]


class HandOver(NamedTuple):
    """One removal: who goes, who takes over, and how."""

    unit: int
    """The unit that goes."""
    partner: int | None
    """The unit that takes over; None if nothing that is left points to the same side."""
    cosine: float
    """Between the weight vectors of the two."""
    factor: float
    """By how much the partner's outgoing weights take up those of the unit: the ratio of their norms."""


@register("merging")
@dataclass(frozen=True, kw_only=True, slots=True)
class Merging(Method):
    """Remove the units of a layer one by one without retraining, and hand over to another unit what each one did.

    Of the two units whose weight vectors, biases included, have the largest cosine the one of smaller norm goes; the
    outgoing weights of the other take up its own, times the ratio of the norms. Behind rectifiers, two units that
    point the same way are merged exactly. Beside this order stand those of criteria, in which a unit hands over to the
    most similar one that is left; beside handing over, removal with nothing done, and the best that all units that are
    left can do, fitted to the activations on validation. Each layer is treated alone, the others whole.

    Reference: srinivas2015data, the surgery on equal neurons.
    The most similar pair is that of the largest cosine, not of the smallest product of distance and outgoing weights,
    and the outgoing weights are scaled by the norms; the fitted form is own.
    """

    references = ("srinivas2015data",)

    layers: tuple[str, ...] | None = None
    """The layers; None takes all whose units can be removed."""
    scores: tuple[Score, ...] = (Magnitude(),)
    """Criteria in whose order units go, lowest first, beside the order of similarity."""
    taken_over: tuple[TakenOver, ...] = ("nothing", "nearest", "fitted")
    """What is taken over: nothing, by the most similar unit, or by all that are left as fitted to activations."""
    num_points: int = 16
    """At how many numbers of removals, evenly from none to all but one, the network is judged."""
    num_examples: int | None = None
    """How many examples of validation and of test are looked at, drawn once; None takes all."""

    def __post_init__(self) -> None:
        wrong = [each for each in self.taken_over if each not in get_args(TakenOver)]
        if wrong or not self.taken_over:
            raise InvalidArgument(
                f"`taken_over` is {self.taken_over}; it takes some of {', '.join(get_args(TakenOver))}."
            )
        if self.num_points < 2:
            raise InvalidArgument(f"`num_points` is {self.num_points}; it must be at least 2.")

    def compute(self, run: Run, context: Context) -> Results:
        """Merge the units of the run's network as it was in the end.

        Raises:
            InvalidArgument: a layer's units cannot stand in for one another, or are normalised one by one.
        """
        subject = sampled_subject(subject_of_run(run, context), self.num_examples)
        rows = [
            row for name in subject.units.names(self.layers) for row in self._layer(subject, name)
        ]
        return Results(tables={"curves": Table.from_rows(rows, UNITS)})

    def _layer(self, subject: Subject, name: str) -> Iterator[dict[str, Cell]]:
        layer = layer_of(subject, name)
        vectors = _vectors(layer)
        judges = {
            part: TakingOver(subject.model, subject.units, name, data)
            for part, data in (
                ("validation", subject.parts.validation),
                ("test", subject.parts.test),
            )
        }
        for order, hand_overs in self._orders(layer, vectors):
            num_left = int(layer.kept.sum())
            points = torch.linspace(0, num_left - 1, min(self.num_points, num_left)).round().int()
            for num_removed in points.tolist():
                done = hand_overs[:num_removed]
                kept = layer.kept.clone()
                kept[[each.unit for each in done]] = False
                for how in self.taken_over:
                    found = self._stand_ins(subject, name, how, kept, done)
                    row: dict[str, Cell] = {
                        "layer": name,
                        "order": order,
                        "taken_over": how,
                        "num_removed": num_removed,
                        "cosine": done[-1].cosine if done else None,
                    }
                    for part, judge in judges.items():
                        seen = judge.performance(kept, found)
                        row[f"{part}_accuracy"] = seen.accuracy
                        row[f"{part}_loss"] = seen.loss
                    yield row

    def _orders(
        self, layer: Layer, vectors: Float[Tensor, "units _"]
    ) -> Iterator[tuple[str, list[HandOver]]]:
        yield "similarity", hand_overs(vectors, layer.kept)
        for score in self.scores:
            yield (
                label(score),
                hand_overs(vectors, layer.kept, order_of_removal(score, layer)[:-1]),
            )

    def _stand_ins(
        self,
        subject: Subject,
        name: str,
        how: TakenOver,
        kept: Bool[Tensor, " units"],
        done: list[HandOver],
    ) -> StandIns:
        if how == "fitted" and done:
            mask = Mask({name: kept}, "units", subject.units)
            return stand_ins(subject.model, mask, subject.parts.validation, constants=False)[name]
        work = carried_by(len(kept), done if how == "nearest" else [])
        return StandIns(coefficients=work[~kept][:, kept])


def hand_overs(
    vectors: Float[Tensor, "units _"],
    kept: Bool[Tensor, " units"],
    order: list[int] | None = None,
) -> list[HandOver]:
    """Return the removals one after the other until one unit is left.

    Args:
        vectors: The units' weight vectors.
        kept: The units that are there.
        order: In which the units go; None takes the unit of smaller norm of the most similar pair each time.

    Example:
        >>> vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [4.0, 0.0]])
        >>> first, second = hand_overs(vectors, torch.ones(3, dtype=torch.bool))
        >>> first
        HandOver(unit=0, partner=2, cosine=1.0, factor=0.25)
        >>> second.unit, second.partner
        (1, None)
    """
    vectors = vectors.double()
    norms = vectors.norm(dim=1)
    rows = directions(vectors)
    cosines = rows @ rows.T
    cosines.fill_diagonal_(-torch.inf)
    cosines[~kept], cosines[:, ~kept] = -torch.inf, -torch.inf
    done = []
    for place in range(int(kept.sum()) - 1):
        if order is None:
            pair = divmod(int(cosines.argmax()), len(cosines))
            unit, partner = sorted(pair, key=lambda each: (float(norms[each]), -each))
        else:
            unit = order[place]
            partner = int(cosines[unit].argmax())
        cosine = float(cosines[unit, partner])
        if cosine > 0:
            done.append(HandOver(unit, partner, cosine, float(norms[unit] / norms[partner])))
        else:
            done.append(HandOver(unit, None, cosine, 0.0))
        cosines[unit], cosines[:, unit] = -torch.inf, -torch.inf
    return done


def carried_by(num_units: int, done: list[HandOver]) -> Float[Tensor, "units units"]:
    """Return how much of each unit's work (row) each unit carries (column) after some removals.

    Work that was handed over is handed on when its carrier goes.
    """
    work = torch.eye(num_units, dtype=torch.float64)
    for each in done:
        if each.partner is not None:
            work[:, each.partner] += each.factor * work[:, each.unit]
        work[:, each.unit] = 0.0
    return work


def _vectors(layer: Layer) -> Float[Tensor, "units _"]:
    """Return the incoming weights and the bias of each unit."""
    why = unmergeable(layer.group)
    if why is not None:
        raise InvalidArgument(f"The units of `{layer.name}` {why}.")
    carried = layer.units.carried(layer.name, layer.model)
    if carried.shape[1] > 1:
        raise InvalidArgument(
            f"The units of `{layer.name}` carry {carried.shape[1]} numbers besides their weights, as with a batch norm."
            " Their directions are compared as they enter a rectifier, with a bias at most: name other `layers`."
        )
    return torch.cat([layer.weight_vectors, carried.to(layer.weight_vectors)], dim=1)
