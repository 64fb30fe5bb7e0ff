"""First-order Taylor: what the gradient says of a unit's removal."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.masks import Mask, enforce
from surplus.passes import batches, check_labels
from surplus.scores.layer import Layer
from surplus.scores.rankings import Reevaluated
from surplus.scores.score import Score
from surplus.units import tensors_of


@register("taylor")
@dataclass(frozen=True, kw_only=True, slots=True)
class Taylor(Score):
    """Score a unit by the change of loss that its output times the gradient predicts for its removal.

    With a the unit's output as the next layer receives it, the loss of an example changes by about -a dL/da, summed
    over positions.

    Reference: molchanov2017pruning, Equation 8.
    Positions are summed, not averaged: a constant factor within a layer.
    """

    references: ClassVar = ("molchanov2017pruning", "mozer1989skeletonization")

    per_example: bool = True
    """Average the absolute change of each example (as published), or take the absolute value of the average change."""

    def score(self, layer: Layer) -> Float[Tensor, " units"]:
        """Return the predicted changes."""
        down = layer.downstream
        if down is None:
            return self._through_weights(layer)
        total = torch.zeros(layer.group.size, dtype=torch.float64)
        count = 0
        for inputs, targets in down.inputs(layer.examples()):
            check_labels(targets)
            received = down.masked(inputs, layer.kept).requires_grad_()
            with torch.enable_grad():
                loss = F.cross_entropy(down.read(received), targets, reduction="sum")
                (gradient,) = torch.autograd.grad(loss, received)
            change = down.by_unit(received.detach() * gradient).double().sum(2)
            total += (change.abs() if self.per_example else change).sum(0).cpu()
            count += len(targets)
        return (total / count).abs()

    def _through_weights(self, layer: Layer) -> Float[Tensor, " units"]:
        """Return the predicted changes in any network, example by example.

        A unit's output times its gradient is, summed over positions, its outgoing weights times theirs.
        """
        model = enforce(layer.model, Mask({layer.name: layer.kept}, "units", layer.units)).eval()
        tensors = tensors_of(model)
        slots = layer.group.outgoing
        weights = [tensors[slot.tensor].requires_grad_() for slot in slots]
        total = torch.zeros(layer.group.size, dtype=torch.float64)
        count = 0
        for inputs, targets in batches(layer.examples(), model):
            check_labels(targets)
            for x, y in zip(inputs, targets, strict=True):
                with torch.enable_grad():
                    loss = F.cross_entropy(model(x[None]), y[None])
                gradients = torch.autograd.grad(loss, weights)
                change = torch.zeros_like(total)
                for slot, weight, gradient in zip(slots, weights, gradients, strict=True):
                    change += slot.vectors(weight.detach() * gradient).double().sum(1).cpu()
                total += change.abs() if self.per_example else change
                count += 1
        return (total / count).abs()

    def start(self, layer: Layer) -> Reevaluated:
        """Return the predicted changes in a form that follows removals."""
        return Reevaluated(self, layer)
