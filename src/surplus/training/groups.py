"""Batches in groups of examples, for optimisers that combine several gradients."""

from itertools import pairwise

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from surplus.base import InvalidArgument, label
from surplus.training.optimizer import Optimizer


def groups_of(optimizer: Optimizer, batch_size: int, model: nn.Module) -> list[slice]:
    """Return the parts of a batch whose gradients an optimiser combines; they differ by one example at most.

    Raises:
        InvalidArgument: a group is a single example, and the network normalises over the batch.
    """
    count = optimizer.num_groups(batch_size)
    cuts = [place * batch_size // count for place in range(count + 1)]
    groups = [slice(start, stop) for start, stop in pairwise(cuts)]
    if count > 1 and min(lengths(groups)) == 1:
        _check_apart(optimizer, batch_size, model)
    return groups


def lengths(groups: list[slice]) -> set[int]:
    """Return how many examples the groups hold."""
    return {group.stop - group.start for group in groups}


def _check_apart(optimizer: Optimizer, batch_size: int, model: nn.Module) -> None:
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            raise InvalidArgument(
                f"Layer `{name}` normalises over the batch, but with {label(optimizer)} and a batch of {batch_size} an"
                " example is a group of its own: alone it has no statistics. Take a network without batch"
                " normalisation, or `median-of-three` with a larger batch."
            )
