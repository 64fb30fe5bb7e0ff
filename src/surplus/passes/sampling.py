"""Samples of data: some of the examples, drawn by a seed."""

from collections.abc import Iterator
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor

from surplus.base import InvalidArgument, Part, derive
from surplus.passes.data import Data

BATCH = 500


@final
class Sample:
    """Some examples of a part of a task, in the order of the part."""

    def __init__(self, part: Part, index: Int[Tensor, " chosen"]) -> None:
        self._part, self._index = part, index

    def __len__(self) -> int:
        return len(self._index)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for index in torch.split(self._index, BATCH):
            yield self._part.batch(index)

    def batch(self, index: Int[Tensor, "*where"]) -> tuple[Tensor, Tensor]:
        """Return the inputs and targets at the given positions of the sample."""
        return self._part.batch(self._index[index])

    @property
    def targets(self) -> Tensor:
        """The labels, one whole number per example."""
        return self._part.targets[self._index.to(self._part.targets.device)]


def sampled(data: Data, num_examples: int | None, seed: int) -> Data:
    """Return at most so many examples, drawn without replacement; all of them, as they are, if there are no more.

    Batches that can be read only once are kept in memory, as far as they are drawn.

    Args:
        data: A part of a task, or batches of (inputs, targets).
        num_examples: How many; None takes all.
        seed: Of the draw.

    Raises:
        InvalidArgument: fewer than one example is asked for.

    Example:
        >>> batches = [(torch.arange(4.0), torch.zeros(4)), (torch.arange(4.0, 6.0), torch.zeros(2))]
        >>> sum(len(inputs) for inputs, _ in sampled(batches, 3, seed=0))
        3
    """
    if num_examples is not None and num_examples < 1:
        raise InvalidArgument(
            f"`num_examples` is {num_examples}; it must be at least 1, or None for all."
        )
    if num_examples is None:
        return list(data) if iter(data) is data else data
    if isinstance(data, Part):
        if num_examples >= len(data):
            return data
        return Sample(data, _drawn(len(data), num_examples, seed))
    kept = list(data)
    sizes = [len(targets) for _, targets in kept]
    if num_examples >= sum(sizes):
        return kept
    index = _drawn(sum(sizes), num_examples, seed)
    found, begin = [], 0
    for (inputs, targets), size in zip(kept, sizes, strict=True):
        here = index[(index >= begin) & (index < begin + size)] - begin
        if len(here):
            found.append((inputs[here], targets[here]))
        begin += size
    return found


def _drawn(total: int, count: int, seed: int) -> Int[Tensor, " chosen"]:
    generator = torch.Generator().manual_seed(derive(seed, "examples"))
    return torch.randperm(total, generator=generator)[:count].sort().values
