"""Agreement: how many predictions stay what they were when units are removed."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Int
from torch import Tensor, nn

from surplus.edits import masked
from surplus.masks import Mask
from surplus.passes.data import Data, are_labels, batches
from surplus.passes.downstream import Downstream
from surplus.units import evaluating, left_as_found

TOGETHER = 6
"""How many masked copies of a network are held at a time."""


Predicted = tuple[Tensor, list[Tensor], Tensor]
"""A network's own predictions on a batch, those of each masked network, and the targets."""


class Agreement(NamedTuple):
    """What masked networks predict, mask by mask."""

    agreeing: Int[Tensor, " masks"]
    """How many predictions are those of the network itself."""
    correct: Int[Tensor, " masks"] | None
    """How many are the labels; None where the targets are none."""
    num_examples: int


@final
class Answers:
    """Data whose targets are what a network itself predicts: accuracy on them is agreement with it."""

    def __init__(self, model: nn.Module, data: Data) -> None:
        self._model, self._data = model, data

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for inputs, _ in batches(self._data, self._model):
            yield inputs, evaluated(self._model, inputs).argmax(1)


@torch.no_grad()
def agreement(model: nn.Module, masks: Sequence[Mask], data: Data) -> Agreement:
    """Return how many predictions of a classifier each mask leaves as they were.

    Where all masks are of one layer of a chain, what comes before that layer runs once.

    Args:
        model: It is used in evaluation mode and left as it was; its outputs are [batch, classes].
        masks: Over units, and bound to them.
        data: The examples; targets are read only if they are labels.
    """
    down = _downstream(model, masks)
    if down is not None:
        return _tallied(_along(down, masks, data))
    found = [
        _tallied(_rerun(model, masks[start : start + TOGETHER], data))
        for start in range(0, len(masks), TOGETHER)
    ]
    corrects = [each.correct for each in found if each.correct is not None]
    return Agreement(
        torch.cat([each.agreeing for each in found]),
        torch.cat(corrects) if len(corrects) == len(found) else None,
        found[0].num_examples,
    )


def evaluated(model: nn.Module, inputs: Tensor) -> Any:
    """Return what a model gives in evaluation mode; model, inputs and random streams are left as they were."""
    with torch.no_grad(), evaluating(model), left_as_found(model):
        return model(inputs.clone())


def _downstream(model: nn.Module, masks: Sequence[Mask]) -> Downstream | None:
    layers = {name for mask in masks for name in mask.kept}
    units = masks[0].units
    assert units is not None
    return Downstream.of(model, units, *layers) if len(layers) == 1 else None


def _along(down: Downstream, masks: Sequence[Mask], data: Data) -> Iterator[Predicted]:
    kept = [mask.kept[down.group.name] for mask in masks]
    for inputs, targets in down.inputs(data):
        own = down.read(inputs).argmax(1)
        yield own, [down.read(down.masked(inputs, each)).argmax(1) for each in kept], targets


def _rerun(model: nn.Module, masks: Sequence[Mask], data: Data) -> Iterator[Predicted]:
    copies = [masked(model, mask) for mask in masks]
    for inputs, targets in batches(data, model):
        own = evaluated(model, inputs).argmax(1)
        yield own, [evaluated(each, inputs).argmax(1) for each in copies], targets


def _tallied(predictions: Iterable[Predicted]) -> Agreement:
    agreeing, correct, num_examples = [], [], 0
    for own, theirs, targets in predictions:
        predicted = torch.stack(theirs)
        agreeing.append((predicted == own).sum(1).cpu())
        if are_labels(targets):
            correct.append((predicted == targets).sum(1).cpu())
        num_examples += len(own)
    labelled = len(correct) == len(agreeing)
    return Agreement(
        torch.stack(agreeing).sum(0),
        torch.stack(correct).sum(0) if labelled else None,
        num_examples,
    )
