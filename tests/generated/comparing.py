"""Comparing outputs, and counting what was refused."""

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from surplus.units import evaluating

REFUSALS: Counter[str] = Counter()
"""Why groups were protected or cuts refused, over everything that this process checked."""


def outputs(model: nn.Module, example: Any) -> list[Tensor]:
    """Return all tensors that a model returns."""
    with torch.no_grad(), evaluating(model):
        return [each for each in tree_leaves(model(example)) if isinstance(each, Tensor)]


def same(some: list[Tensor], others: list[Tensor], exactly: bool = False) -> None:
    """Compare all tensors, to 1e-9 of the largest value."""
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        assert one.shape == other.shape
        if exactly:
            assert torch.equal(one, other)
        elif one.numel():
            assert (one - other).abs().max() <= 1e-9 * max(1.0, float(one.abs().max()))


def general(reason: str) -> str:
    """Return a reason without the place at which it was found."""
    head, _, tail = reason.partition(" (`")
    return f"{head} ({tail.partition('`')[0]})" if tail else head.partition(":")[0]
