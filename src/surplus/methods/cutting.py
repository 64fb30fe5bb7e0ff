"""Cutting: remove a share of the units for good, and compare what is left with what was there."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from surplus.base import Part, check_sparsity, register
from surplus.edits import Edits, cut, save
from surplus.masks import Mask, enforce
from surplus.methods.context import Context
from surplus.methods.method import Method
from surplus.methods.results import Results
from surplus.methods.runs import model_of, origin_of, spec_of, units_of
from surplus.passes import compare
from surplus.scores import Layer, Score, order_of_removal
from surplus.scores.magnitude import Magnitude
from surplus.store import Run
from surplus.units import Units

TIMED = 128  # examples in the batch that is timed


@register("cutting")
@dataclass(frozen=True, kw_only=True, slots=True)
class Cutting(Method):
    """Remove a fraction of the units of each layer by a criterion's greedy order, and cut them out.

    The order is the one that `Ablation` follows, so the accuracy is the one on its curve. The table compares the
    dense, the masked and the cut network.

    Reference: own; that cut equals masked is checked on every cut.
    """

    sparsity: float
    """The fraction of each layer's units to remove, in [0, 1)."""
    score: Score = Magnitude()
    """The criterion."""
    layers: tuple[str, ...] | None = None
    """The layers; None takes all whose units can be removed."""
    highest: bool = False
    """Remove what the criterion wants most to keep, instead of what it wants least."""

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)

    def compute(self, run: Run, context: Context) -> Results:
        """Cut the run's network as it was in the end."""
        model, mask = model_of(run)
        units = units_of(run, model, context)
        parts = context.parts(spec_of(run).task)
        mask = self.mask(model, units, parts.validation, mask)
        smaller, edits = cut(model, mask)
        example, _ = parts.test.batch(torch.arange(min(TIMED, len(parts.test))))
        table = compare(
            model,
            enforce(model, mask),
            smaller,
            example,
            {"validation": parts.validation, "test": parts.test},
        )
        return Results(
            tables={"comparison": table},
            values={"edits": edits.to_json(), "mask": mask.to_json()},
        )

    def mask(self, model: nn.Module, units: Units, data: Part, among: Mask | None = None) -> Mask:
        """Return the mask that keeps what the criterion would remove last.

        Args:
            model: The model.
            units: Its units.
            data: What criteria that need data look at: the validation part.
            among: What was removed before stays removed.
        """
        names = self.layers or tuple(group.name for group in units.removable())
        mask = Mask.full(units, names)
        for name in names:
            size = units.chosen(name).size
            kept = mask.kept[name]
            if among is not None and among.over == "units" and name in among.kept:
                kept = among.kept[name].clone()
            layer = Layer(model, units, name, kept, data)
            order = order_of_removal(self.score, layer, highest=self.highest)
            removals = max(0, min(round(self.sparsity * size) - int((~kept).sum()), len(order) - 1))
            kept[order[:removals]] = False
            mask.kept[name] = kept
        return mask

    def write(self, run: Run, path: Path, context: Context) -> nn.Module:
        """Write the cut network to a bundle, from the results kept beside the run, and return it."""
        values = self.apply(run, context).values
        model, _ = model_of(run)
        mask = Mask.from_json(values["mask"]).bind(units_of(run, model, context))
        smaller, edits = cut(model, mask)
        origin = origin_of(spec_of(run))
        start = spec_of(run).start
        before = start.edits if start is not None and start.edits is not None else Edits()
        save(path, smaller, before + edits, origin)
        return smaller
