"""Loss and accuracy of a model on data."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

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
        InvalidArgument: the data hold no examples, or something that is not a pair of inputs and targets.
    """
    loss, correct, count = 0.0, 0, 0
    with evaluating(model):
        for inputs, targets in batches(data, model):
            outputs = model(inputs)
            loss += float(F.cross_entropy(outputs, targets, reduction="sum"))
            correct += int((outputs.argmax(1) == targets).sum())
            count += len(targets)
    return Performance(loss / count, correct, count)
