"""Taps: what the units of a group emit, batch by batch."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.passes.data import Data, batches
from surplus.units import Tap, evaluating, tapped


def activations(
    model: nn.Module, tap: Tap, data: Data
) -> Iterator[Float[Tensor, "batch units positions"]]:
    """Yield the activations of a group's units, batch by batch, in evaluation mode.

    Args:
        model: The model on which the units were found, or one of the same shape.
        tap: Where they are seen.
        data: The inputs.

    Raises:
        InvalidArgument: the model does not come by there on these data.
    """
    with torch.no_grad(), evaluating(model):
        for inputs, _ in batches(data, model):
            yield by_example(tapped(model, tap, (inputs,), {}), tap, len(inputs))


def by_example(
    values: Float[Tensor, "units values"], tap: Tap, num_examples: int
) -> Float[Tensor, "batch units positions"]:
    """Return what units emitted on a batch, as `tapping` hands it on, example by example; a view where that can be."""
    if values.numel() % max(len(values) * tap.index.shape[1] * num_examples, 1):
        raise InvalidArgument(
            f"Units are seen where {tuple(values.shape)} values do not divide among the {num_examples} examples of a"
            " batch: the model joins examples, or takes a part of them."
        )
    by_unit = values.reshape(len(values), tap.index.shape[1], num_examples, -1)
    return by_unit.permute(2, 0, 1, 3).flatten(2)
