"""Pruning units while a network trains."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from surplus.base import Change, Intervention, InvalidArgument, RunState, check_sparsity, register
from surplus.masks import keep
from surplus.scores import Score, score
from surplus.scores.magnitude import Magnitude
from surplus.units import find_units


@register("pruning")
@dataclass(frozen=True, kw_only=True, slots=True)
class Pruning(Intervention):
    """Remove units from layers, in equal portions from step `first` to step `last`, every `every` steps.

    With `last` equal to `first`, all goes at once. Removed units never come back: their weights and their optimiser
    state are zero from then on. Criteria that look at data look at the validation part.

    Reference: heitmann2020sources, Section 4 (scheduled and iterative pruning).
    """

    references: ClassVar = ("heitmann2020sources",)

    sparsity: float
    """The fraction of each layer's units that is gone in the end."""
    score: Score = Magnitude()
    """The criterion."""
    layers: tuple[str, ...] | None = None
    """The layers; None takes all whose units can be removed."""
    first: int = 0
    """The step of the first removal."""
    last: int = 0
    """No removal comes after this step."""
    every: int = 1
    """The steps between two removals."""
    highest: bool = False
    """Remove what the criterion wants most to keep, instead of what it wants least."""

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)
        if not 0 <= self.first <= self.last:
            raise InvalidArgument(
                f"`first` is {self.first} and `last` is {self.last}; they must be steps with 0 <= first <= last."
            )
        if self.every < 1:
            raise InvalidArgument(f"`every` is {self.every}; it must be at least 1.")

    def intervene(self, state: RunState) -> Change | None:
        """Return the mask with this step's portion removed, or None between removals."""
        passed = state.step - self.first
        if passed < 0 or state.step > self.last or passed % self.every:
            return None
        num_portions = (self.last - self.first) // self.every + 1
        target = self.sparsity * (passed // self.every + 1) / num_portions
        units = find_units(state.model, state.example)
        found = score(
            state.model, units, self.score, state.parts.validation, self.layers, among=state.mask
        )
        mask = keep(found.map(torch.neg) if self.highest else found, target, among=state.mask)
        removed = {name: mask.removed_index(name).tolist() for name in mask.kept}
        return Change(mask=mask, record={"sparsity": target, "removed": removed})
