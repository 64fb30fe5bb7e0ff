"""Taps: what the units of a group emit, batch by batch."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

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
            seen = tapped(model, tap, (inputs,), {})
            width = tap.index.shape[1]
            by_unit = seen.reshape(len(seen), width, len(inputs), -1)
            yield by_unit.permute(2, 0, 1, 3).flatten(2)
