"""Ablation: remove units one by one in each criterion's order, and record what it costs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch

from surplus.base import Cell, InvalidArgument, Table, derive, label, register
from surplus.methods.context import Context
from surplus.methods.method import Method
from surplus.methods.results import Results
from surplus.methods.subject import Subject, kept_of, sampled_subject, subject_of_run
from surplus.passes import Removals
from surplus.passes.geometry import frame_potential_along
from surplus.scores import Layer, Score, order_of_removal
from surplus.scores.frame_potential import FramePotential
from surplus.scores.magnitude import Magnitude
from surplus.scores.random import Random
from surplus.store import Run
from surplus.training import progress

Direction = Literal["lowest", "highest"]
UNITS = {"validation_loss": "nats", "test_loss": "nats"}


class RemovalOrder(NamedTuple):
    """One order of removal and where it came from."""

    score: str
    """The criterion's label; all random draws are called "random"."""
    remove: Direction
    """What went first: the lowest or the highest scores."""
    repeat: int
    """The number of the draw; 0 for an order that is not drawn."""
    units: list[int]
    """The units in the order in which they go."""


@register("ablation")
@dataclass(frozen=True, kw_only=True, slots=True)
class Ablation(Method):
    """Remove the units of a layer one by one in a criterion's greedy order, without retraining.

    After each removal: loss and accuracy on validation and test, and the layer's frame potential. A criterion that
    depends on which units are left is re-evaluated after each removal. Criteria that look at data look at the
    validation part. Each layer is ablated alone, the others whole.

    Reference: heitmann2020sources, Section 3.
    """

    references = ("heitmann2020sources",)

    layers: tuple[str, ...] | None = None
    """The layers; None takes all whose units can be removed."""
    scores: tuple[Score, ...] = (Magnitude(), FramePotential(), Random())
    """The criteria, side by side. `Random` is the control that belongs to every comparison."""
    remove: tuple[Direction, ...] = ("lowest", "highest")
    """In which directions: what a criterion wants least to keep first, or most."""
    repeats: int = 5
    """How often a random order is drawn."""
    num_examples: int | None = None
    """How many examples of validation and of test are looked at, drawn once; None takes all."""

    def __post_init__(self) -> None:
        if not self.scores or not self.remove:
            raise InvalidArgument("An ablation needs at least one criterion and one direction.")
        if sum(isinstance(score, Random) for score in self.scores) > 1:
            raise InvalidArgument(
                "`scores` holds `random` twice; `repeats` says how often it is drawn."
            )
        for name, given in (
            ("scores", [label(score) for score in self.scores]),
            ("remove", list(self.remove)),
            ("layers", list(self.layers or ())),
        ):
            if len(set(given)) < len(given):
                raise InvalidArgument(f"`{name}` names something twice: {', '.join(given)}.")
        if self.repeats < 1:
            raise InvalidArgument(f"`repeats` is {self.repeats}; it must be at least 1.")

    def compute(self, run: Run, context: Context) -> Results:
        """Ablate the run's network as it was in the end."""
        subject = sampled_subject(subject_of_run(run, context), self.num_examples)
        return Results(tables={"curves": self.curves(subject, context.progress)})

    def curves(self, subject: Subject, shown: bool = False) -> Table:
        """Return one row per layer, criterion, direction, repeat and number of removals.

        Args:
            subject: The network, its units and the data.
            shown: Whether to show a progress bar on a terminal.

        Raises:
            UnknownName: a layer that the model does not have.
            InvalidArgument: a layer whose units cannot be removed.
        """
        names = subject.units.names(self.layers)
        rows: list[dict[str, Cell]] = []
        with progress("ablation", len(names), "layers", shown) as bar:
            for done, name in enumerate(names):
                bar.update(done, name)
                rows += self._layer(subject, name)
        return Table.from_rows(rows, UNITS)

    def _layer(self, subject: Subject, name: str) -> Iterator[dict[str, Cell]]:
        layer = layer_of(subject, name)
        orders = self._orders(layer)
        gone = (~layer.kept).nonzero()[:, 0].tolist()
        permutations = torch.tensor([gone + order.units for order in orders])
        curves = {
            part: Removals(subject.model, subject.units, name, data).along(permutations)
            for part, data in (
                ("validation", subject.parts.validation),
                ("test", subject.parts.test),
            )
        }
        W = layer.weight_vectors[layer.kept]
        for place, order in enumerate(orders):
            potential = frame_potential_along(W, _ranks(order.units, layer.kept))
            for removed in range(len(order.units) + 1):
                row: dict[str, Cell] = {
                    "layer": name,
                    "score": order.score,
                    "remove": order.remove,
                    "repeat": order.repeat,
                    "num_removed": removed,
                    "unit": order.units[removed - 1] if removed else None,
                }
                state = len(gone) + removed
                for part, curve in curves.items():
                    row[f"{part}_accuracy"] = float(curve.accuracy[place, state])
                    row[f"{part}_loss"] = float(curve.loss[place, state])
                row["frame_potential"] = float(potential[removed])
                yield row

    def _orders(self, layer: Layer) -> list[RemovalOrder]:
        orders = []
        for score in self.scores:
            if isinstance(score, Random):
                # The reverse of a random order is one, so a second direction would show nothing new.
                for repeat in range(self.repeats):
                    drawn = replace(score, seed=derive(score.seed, "repeat", repeat))
                    orders.append(
                        RemovalOrder(score.kind, "lowest", repeat, order_of_removal(drawn, layer))
                    )
                continue
            for remove in self.remove:
                units = order_of_removal(score, layer, highest=remove == "highest")
                orders.append(RemovalOrder(label(score), remove, 0, units))
        return orders


def layer_of(subject: Subject, name: str) -> Layer:
    """Return a layer of a subject with the units that are still there, judged on validation."""
    return Layer(
        subject.model, subject.units, name, kept_of(subject, name), subject.parts.validation
    )


def _ranks(order: list[int], kept: torch.Tensor) -> torch.Tensor:
    """Return the positions of units among those that are kept."""
    return (kept.cumsum(0) - 1)[torch.tensor(order)]
