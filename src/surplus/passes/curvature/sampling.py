"""Some examples of the data, drawn at random while they stream by."""

import torch
from torch import Tensor, nn

from surplus.base import InvalidArgument, derive
from surplus.passes.data import Data, batches

BATCH = 32  # examples per batch of what was drawn; differentiating twice keeps much of each


def sampled(
    data: Data, like: nn.Module, num_examples: int, seed: int
) -> list[tuple[Tensor, Tensor]]:
    """Return `num_examples` of the data's examples without repetition, or all if there are no more, in their order.

    Every example is given a random number, and the smallest numbers are kept; so which are drawn depends on the seed
    and on the order of the data, not on their batches.

    Args:
        data: A part of a task, or batches of (inputs, targets).
        like: The model that will receive them; see `batches`.
        num_examples: How many to draw.
        seed: Of the draw.

    Returns:
        Batches of inputs and targets.

    Raises:
        InvalidArgument: `num_examples` is below 1, or the data hold no examples.
    """
    if num_examples < 1:
        raise InvalidArgument(f"`num_examples` is {num_examples}; it must be at least 1.")
    generator = torch.Generator().manual_seed(derive(seed, "curvature", "examples"))
    numbers = torch.empty(0, dtype=torch.float64)
    inputs = targets = torch.empty(0)
    start = 0
    for more_inputs, more_targets in batches(data, like):
        count = len(more_targets)
        drawn = torch.rand(count, dtype=torch.float64, generator=generator)
        numbers = torch.cat([numbers, drawn])
        inputs = torch.cat([inputs, more_inputs]) if start else more_inputs
        targets = torch.cat([targets, more_targets]) if start else more_targets
        start += count
        if len(numbers) > num_examples:
            kept = numbers.topk(num_examples, largest=False).indices.sort().values
            numbers, inputs, targets = numbers[kept], inputs[kept], targets[kept]
    return list(zip(torch.split(inputs, BATCH), torch.split(targets, BATCH), strict=True))
