"""Noise instead of pruning: what a removal would do to the weights in size, but not in kind."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from surplus.base import Change, Intervention, InvalidArgument, RunState, derive, register
from surplus.masks import on_weights
from surplus.training.interventions.pruning import Pruning


@register("pruning-noise")
@dataclass(frozen=True, kw_only=True, slots=True)
class PruningNoise(Intervention):
    """At the step at which units would be removed, add Gaussian noise to their weights, as large as the removal.

    All weights that would go with the units get noise, and in each tensor it has the norm of what would have been set
    to zero there. Nothing is removed, and the optimiser's state stays: the control for pruning as a disturbance.

    Reference: bartoldson2020generalization, Section 4.
    The noise is added once and has the norm of the removed weights.
    """

    references: ClassVar = ("bartoldson2020generalization",)

    instead_of: Pruning
    """The pruning whose units and step are taken; it has one step only."""

    def __post_init__(self) -> None:
        if self.instead_of.first != self.instead_of.last:
            raise InvalidArgument(
                f"`instead_of` removes units from step {self.instead_of.first} to step {self.instead_of.last}; noise"
                " takes the place of one removal: give it the same `first` and `last`."
            )

    def intervene(self, state: RunState) -> Change | None:
        """Return the weights with noise at the step of the removal, else None."""
        removal = self.instead_of.intervene(state)
        if removal is None:
            return None
        parameters = {name: each.detach() for name, each in state.model.named_parameters()}
        weights = {
            name: _disturbed(parameters[name], ~kept, derive(state.seed, "noise", state.step, name))
            for name, kept in on_weights(state.model, removal.mask).items()
        }
        size = torch.stack([(each - parameters[name]).norm() for name, each in weights.items()])
        record = {"disturbed": removal.record["removed"], "norm": float(size.norm())}
        return Change(weights=weights, record=record)


def _disturbed(
    weight: Float[Tensor, "*shape"], chosen: Bool[Tensor, "*shape"], seed: int
) -> Float[Tensor, "*shape"]:
    """Return a tensor with noise on the chosen entries, of the norm that these have."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(weight.shape, generator=generator) * chosen
    size = noise.norm()
    if size == 0:
        return weight.clone()
    return weight + noise * (weight[chosen].norm() / size)
