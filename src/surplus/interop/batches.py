"""The batch: which axis of which input may have any length."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map


class Inputs(NamedTuple):
    """What a model is called with."""

    positional: tuple[Any, ...]
    named: dict[str, Any]


def batch_of(inputs: Inputs) -> int | None:
    """Return the length of the first axis of the first tensor that has one: that axis is taken to be the batch."""
    lengths = (len(each) for each in tree_leaves(inputs) if isinstance(each, Tensor) and each.dim())
    return next(lengths, None)


def batched(inputs: Inputs) -> list[Tensor]:
    """Return the tensors that hold the batch: those whose first axis is as long."""
    size = batch_of(inputs)
    return [each for each in tree_leaves(inputs) if _is_batched(each, size)]


def one_more(inputs: Inputs) -> Inputs | None:
    """Return the inputs with the first example of the batch once more at its end, or None where there is no batch."""
    size = batch_of(inputs)
    if not size:
        return None
    positional, named = tree_map(
        lambda each: torch.cat([each, each[:1]]) if _is_batched(each, size) else each,
        (inputs.positional, inputs.named),
    )
    return Inputs(positional, named)


def _is_batched(each: Any, size: int | None) -> bool:
    return isinstance(each, Tensor) and each.dim() > 0 and len(each) == size
