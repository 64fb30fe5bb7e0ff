"""Cutting: remove a share of the units for good, and compare what is left with what was there."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from surplus.base import Table, check_sparsity, register
from surplus.edits import Edits, cut, masked, replay_, save
from surplus.masks import Mask
from surplus.methods.ablation import layer_of
from surplus.methods.context import Context
from surplus.methods.method import Method
from surplus.methods.results import Results
from surplus.methods.subject import Subject, subject_of_run
from surplus.passes import compare
from surplus.scores import Score, order_of_removal
from surplus.scores.magnitude import Magnitude
from surplus.store import Run
from surplus.units import copied

TIMED = 128  # examples in the batch that is timed


@register("cutting")
@dataclass(frozen=True, kw_only=True, slots=True)
class Cutting(Method):
    """Remove a fraction of the units of each layer by a criterion's greedy order, and cut them out.

    The order is the one that `Ablation` follows, so the accuracy is the one on its curve. The table compares the
    dense, the masked and the cut network.

    Reference: own; decisions/0005-cutting.md. That cut equals masked is checked on every cut.
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
        _, edits, comparison = self.cut(subject_of_run(run, context))
        return Results(tables={"comparison": comparison}, values={"edits": edits.to_json()})

    def cut(self, subject: Subject) -> tuple[nn.Module, Edits, Table]:
        """Return the cut network, the edits that made it, and how it compares."""
        mask = self.mask(subject)
        smaller, edits = cut(subject.model, mask)
        parts = subject.parts
        example, _ = parts.test.batch(torch.arange(min(TIMED, len(parts.test))))
        table = compare(
            subject.model,
            masked(subject.model, mask),
            smaller,
            example,
            {"validation": parts.validation, "test": parts.test},
            loss=subject.loss,
        )
        return smaller, edits, table

    def mask(self, subject: Subject) -> Mask:
        """Return the mask that keeps what the criterion would remove last; what was removed before stays removed."""
        names = subject.units.names(self.layers)
        mask = Mask.full(subject.units, names)
        for name in names:
            layer = layer_of(subject, name)
            order = order_of_removal(self.score, layer, highest=self.highest)
            mask.kept[name][order[: num_removals(self.sparsity, layer.kept)]] = False
        if subject.mask is not None and subject.mask.over == "units":
            mask = mask & subject.mask
        return mask


def num_removals(sparsity: float, kept: Bool[Tensor, " units"]) -> int:
    """Return how many more units go so that a fraction of all is gone; the last one always stays.

    Example:
        >>> num_removals(0.5, torch.tensor([True, True, False, True]))
        1
    """
    left = int(kept.sum())
    return max(0, min(round(sparsity * len(kept)) - (len(kept) - left), left - 1))


def write_cut(subject: Subject, edits: Edits, path: Path) -> None:
    """Write the network that edits make of a subject to a bundle, with everything needed to load it again."""
    smaller = copied(subject.model)
    replay_(smaller, edits)
    save(path, smaller, subject.edits + edits, subject.origin)
