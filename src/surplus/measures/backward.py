"""The pass forward and back over a sample of the examples, which serves all measures of gradients."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from surplus.base import InvalidArgument, derive
from surplus.measures.untreated import Untreated
from surplus.passes import Data, are_labels, batches, draw
from surplus.passes.ghost import GradientSample, MatrixSums, gradient_sample
from surplus.units import evaluating

NO_CLASSES = "it looks at the loss of a classifier, and"
NUM_EXAMPLES = 1000
"""How many examples gradients are taken of, where a measure does not say otherwise."""
POSITIONS = 16
"""How many positions of an example become rows of second moments: patches are wide, and those of one example alike."""


class Backward(NamedTuple):
    """What one pass forward and back gave."""

    sample: GradientSample
    sums: MatrixSums
    numbers: list[int]
    """The numbers of the examples in the data."""


def backward(
    model: nn.Module,
    data: Data,
    num_examples: int | None,
    seed: int,
    with_rows: bool,
) -> Backward:
    """Return what the gradients of a sample of the examples have to say.

    Args:
        model: A classifier; it is run in evaluation mode and left as it was.
        data: The examples, with their labels.
        num_examples: How many are drawn; None takes all.
        seed: Of the draws.
        with_rows: Whether rows of weight matrices are summed up.

    Raises:
        Untreated: the model is no classifier on these data, or it mixes its examples.
    """
    chosen, numbers = sample_of(model, data, num_examples, seed)
    generator = torch.Generator().manual_seed(derive(seed, "positions of gradients"))
    sums = MatrixSums(POSITIONS, generator)
    try:
        sample = gradient_sample(model, chosen, sums if with_rows else None)
    except InvalidArgument as reason:
        raise Untreated(str(reason)) from reason
    return Backward(sample, sums, numbers)


def sample_of(
    model: nn.Module, data: Data, num_examples: int | None, seed: int
) -> tuple[Data, list[int]]:
    """Return a sample of the data, drawn by the seed, and the numbers of its examples in the data.

    Raises:
        Untreated: the model is no classifier on them.
    """
    chosen, numbers = draw(data, num_examples, seed)
    _check_classifier(model, chosen)
    return chosen, numbers.tolist()


def _check_classifier(model: nn.Module, data: Data) -> None:
    inputs, targets = next(batches(data, model))
    if not are_labels(targets):
        raise Untreated(f"{NO_CLASSES} the targets are not class labels")
    with torch.no_grad(), evaluating(model):
        outputs = model(inputs[:2])
    if not isinstance(outputs, Tensor) or outputs.dim() != 2 or len(outputs) != len(inputs[:2]):
        raise Untreated(f"{NO_CLASSES} the model does not return one row of logits per example")
    if int(targets.max()) >= outputs.shape[1] or int(targets.min()) < 0:
        raise Untreated(f"{NO_CLASSES} there are labels for which the model has no output")
