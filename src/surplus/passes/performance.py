"""Loss and accuracy of a model on data."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.passes.data import Data, batches
from surplus.units import evaluating


class Performance(NamedTuple):
    """What a network scores on `num_examples` examples."""

    loss: float
    """Mean cross-entropy, in nats."""
    num_correct: int
    num_examples: int

    @property
    def accuracy(self) -> float:
        """The fraction of examples whose label has the largest output; ties go to the lowest class."""
        return self.num_correct / self.num_examples


@torch.no_grad()
def performance(model: nn.Module, data: Data) -> Performance:
    """Run a classifier on data, in evaluation mode, and return its loss and accuracy.

    Raises:
        InvalidArgument: the data hold no examples, something that is not a pair of inputs and targets, or labels for
            which the model has no output.
    """
    loss, correct, count = 0.0, 0, 0
    with evaluating(model):
        for inputs, targets in batches(data, model):
            outputs = model(inputs)
            _check(outputs, targets)
            loss += float(F.cross_entropy(outputs, targets, reduction="sum"))
            correct += int((outputs.argmax(1) == targets).sum())
            count += len(targets)
    return Performance(loss / count, correct, count)


def _check(outputs: Tensor, targets: Tensor) -> None:
    """Refuse labels that no output belongs to, and outputs that are not one for each example."""
    if len(outputs) != len(targets):
        raise InvalidArgument(
            f"the model returns {len(outputs)} rows of outputs for {len(targets)} examples"
        )
    if targets.is_floating_point() or not targets.numel():
        return
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= outputs.shape[1]:
        raise InvalidArgument(
            f"there are labels for which the model has no output: they go from {low} to {high}, and it has"
            f" {outputs.shape[1]} outputs"
        )
