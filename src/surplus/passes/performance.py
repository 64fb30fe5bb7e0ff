"""Loss and accuracy of a model on data."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from surplus.base import InvalidArgument, Loss
from surplus.passes.data import Data, are_labels, batches
from surplus.tasks.losses.cross_entropy import CROSS_ENTROPY
from surplus.units import evaluating


class Performance(NamedTuple):
    """What a network scores on `num_examples` examples."""

    loss: float
    """The mean loss: the cross-entropy in nats, unless another was asked for."""
    num_correct: int | None
    """How many are right; None where the targets are no labels."""
    num_examples: int

    @property
    def accuracy(self) -> float | None:
        """The fraction of examples whose label has the largest output; ties go to the lowest class."""
        return None if self.num_correct is None else self.num_correct / self.num_examples

    def hits(self) -> int:
        """Return how many examples are right.

        Raises:
            InvalidArgument: the targets are no labels, so that none is right or wrong.
        """
        if self.num_correct is None:
            raise InvalidArgument(
                "This judges accuracy, but the targets are not one label, a whole number, for each example."
            )
        return self.num_correct


@torch.no_grad()
def performance(model: nn.Module, data: Data, by: Loss = CROSS_ENTROPY) -> Performance:
    """Run a network on data, in evaluation mode, and return its loss and accuracy.

    Args:
        model: The network.
        data: What it is judged on.
        by: The loss.

    Raises:
        InvalidArgument: the data hold no examples, something that is not a pair of inputs and targets, or labels for
            which the model has no output; or targets that the loss does not compare with.
    """
    loss, correct, count = 0.0, 0, 0
    labelled = True
    with evaluating(model):
        for inputs, targets in batches(data, model):
            outputs = model(inputs)
            _check(outputs, targets)
            loss += float(by.of(outputs, targets, "sum"))
            labelled = labelled and are_labels(targets)
            if labelled:
                correct += int((outputs.argmax(1) == targets).sum())
            count += len(targets)
    return Performance(loss / count, correct if labelled else None, count)


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
