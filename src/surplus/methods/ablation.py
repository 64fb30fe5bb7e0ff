"""Ablation: remove units one by one in each criterion's order, and record what it costs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import nn

from surplus.base import Cell, InvalidArgument, Parts, Table, derive, register
from surplus.masks import Mask
from surplus.methods.context import Context
from surplus.methods.method import Method
from surplus.methods.results import Results
from surplus.methods.runs import model_of, spec_of, units_of
from surplus.passes import Removals, frame_potential_along
from surplus.scores import Layer, Score, order_of_removal
from surplus.scores.frame_potential import FramePotential
from surplus.scores.magnitude import Magnitude
from surplus.scores.random import Random
from surplus.store import Run
from surplus.training import progress
from surplus.units import Units

Direction = Literal["lowest", "highest"]
UNITS = {"validation_loss": "nats", "test_loss": "nats"}


class Order(NamedTuple):
    """One order of removal and where it came from."""

    score: Score
    remove: Direction
    repeat: int
    units: list[int]


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

    def __post_init__(self) -> None:
        if not self.scores or not self.remove:
            raise InvalidArgument("An ablation needs at least one criterion and one direction.")
        if self.repeats < 1:
            raise InvalidArgument(f"`repeats` is {self.repeats}; it must be at least 1.")

    def compute(self, run: Run, context: Context) -> Results:
        """Ablate the run's network as it was in the end."""
        model, mask = model_of(run)
        units = units_of(run, model, context)
        parts = context.parts(spec_of(run).task)
        return Results(tables={"curves": self.curves(model, units, parts, mask, context.progress)})

    def curves(
        self,
        model: nn.Module,
        units: Units,
        parts: Parts,
        mask: Mask | None = None,
        shown: bool = False,
    ) -> Table:
        """Return one row per layer, criterion, direction, repeat and number of removals.

        Args:
            model: A chain of layers.
            units: Its units.
            parts: The data: scores and choices look at validation, test is only reported.
            mask: What was removed before; those units are not counted as removals.
            shown: Whether to show a progress bar on a terminal.

        Raises:
            UnknownName: a layer that the model does not have.
            InvalidArgument: a layer whose units cannot be removed.
        """
        names = self.layers or tuple(group.name for group in units.removable())
        for name in names:
            units.chosen(name)
        rows: list[dict[str, Cell]] = []
        with progress("ablation", len(names), "layers", shown) as bar:
            for done, name in enumerate(names):
                bar.update(done, name)
                rows += self._layer(model, units, parts, mask, name)
        return Table.from_rows(rows, UNITS)

    def _layer(
        self, model: nn.Module, units: Units, parts: Parts, mask: Mask | None, name: str
    ) -> Iterator[dict[str, Cell]]:
        kept = torch.ones(units[name].size, dtype=torch.bool)
        if mask is not None and mask.over == "units" and name in mask.kept:
            kept = mask.kept[name]
        layer = Layer(model, units, name, kept, parts.validation)
        orders = self._orders(layer)
        gone = (~kept).nonzero()[:, 0].tolist()
        permutations = torch.tensor([gone + order.units for order in orders])
        curves = {
            part: Removals(model, units, name, data).along(permutations)
            for part, data in (("validation", parts.validation), ("test", parts.test))
        }
        for place, order in enumerate(orders):
            potential = frame_potential_along(layer.weight_vectors[kept], _ranks(order.units, kept))
            for removed in range(len(order.units) + 1):
                state = len(gone) + removed
                row: dict[str, Cell] = {
                    "layer": name,
                    "score": order.score.kind,
                    "remove": order.remove,
                    "repeat": order.repeat,
                    "num_removed": removed,
                    "unit": order.units[removed - 1] if removed else None,
                }
                for part, curve in curves.items():
                    row[f"{part}_accuracy"] = float(curve.accuracy[place, state])
                    row[f"{part}_loss"] = float(curve.loss[place, state])
                row["frame_potential"] = float(potential[removed])
                yield row

    def _orders(self, layer: Layer) -> list[Order]:
        orders = []
        for score in self.scores:
            if isinstance(score, Random):
                # The reverse of a random order is one, so a second direction would show nothing new.
                for repeat in range(self.repeats):
                    drawn = replace(score, seed=derive(score.seed, "repeat", repeat))
                    orders.append(Order(score, "lowest", repeat, order_of_removal(drawn, layer)))
                continue
            for remove in self.remove:
                units = order_of_removal(score, layer, highest=remove == "highest")
                orders.append(Order(score, remove, 0, units))
        return orders


def _ranks(order: list[int], kept: torch.Tensor) -> torch.Tensor:
    """Return the positions of units among those that are kept."""
    return (kept.cumsum(0) - 1)[torch.tensor(order)]
