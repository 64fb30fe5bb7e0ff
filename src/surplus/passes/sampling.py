"""Samples of data: some of the examples, drawn by a seed."""

from collections.abc import Iterator
from typing import NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from surplus.base import InvalidArgument, Part, derive
from surplus.passes.data import Data, pairs

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


class Drawn(NamedTuple):
    """Some of the examples of data, and their numbers in it."""

    data: Data
    numbers: Int[Tensor, " chosen"]


def sampled(data: Data, num_examples: int | None, seed: int) -> Data:
    """Return at most so many examples, drawn without replacement; all of them, as they are, if none are to be left out.

    Args:
        data: A part of a task, or batches of (inputs, targets), which are read once; what is drawn is kept in memory.
        num_examples: How many; None takes all.
        seed: Of the draw.

    Raises:
        InvalidArgument: fewer than one example is asked for.

    Example:
        >>> batches = [(torch.arange(4.0), torch.zeros(4)), (torch.arange(4.0, 6.0), torch.zeros(2))]
        >>> sum(len(inputs) for inputs, _ in sampled(batches, 3, seed=0))
        3
    """
    if num_examples is None:
        return list(data) if iter(data) is data else data
    return draw(data, num_examples, seed).data


def draw(data: Data, num_examples: int | None, seed: int) -> Drawn:
    """Return the same with the numbers of the examples, in ascending order."""
    if num_examples is not None and num_examples < 1:
        raise InvalidArgument(
            f"`num_examples` is {num_examples}; it must be at least 1, or None for all."
        )
    if not isinstance(data, Part):
        return _streamed(data, num_examples, seed)
    total = len(data)
    if num_examples is None or num_examples >= total:
        return Drawn(data, torch.arange(total))
    generator = torch.Generator().manual_seed(derive(seed, "examples"))
    index = torch.randperm(total, generator=generator)[:num_examples].sort().values
    return Drawn(Sample(data, index), index)


def _streamed(data: Data, num_examples: int | None, seed: int) -> Drawn:
    """Draw from batches whose number is not known: every example gets a key, and the smallest keys stay."""
    generator = torch.Generator().manual_seed(derive(seed, "examples"))
    kept: list[_Keyed] = []
    total = 0
    for inputs, targets in pairs(data):
        count = len(targets)
        keys = torch.rand(count, dtype=torch.float64, generator=generator)
        kept.append(_Keyed(keys, torch.arange(total, total + count), inputs, targets))
        total += count
        if num_examples is not None and sum(len(each.keys) for each in kept) > 2 * num_examples:
            kept = _smallest(kept, num_examples)
    if num_examples is not None and total > num_examples:
        kept = _smallest(kept, num_examples)
    numbers = [each.numbers for each in kept]
    return Drawn(
        [(each.inputs, each.targets) for each in kept],
        torch.cat(numbers) if numbers else torch.empty(0, dtype=torch.int64),
    )


class _Keyed(NamedTuple):
    """What is kept of a batch."""

    keys: Float[Tensor, " chosen"]
    numbers: Int[Tensor, " chosen"]
    inputs: Tensor
    targets: Tensor


def _smallest(kept: list[_Keyed], count: int) -> list[_Keyed]:
    limit = torch.cat([each.keys for each in kept]).kthvalue(count).values
    found = []
    for each in kept:
        stays = each.keys <= limit
        if bool(stays.any()):
            found.append(_Keyed(*(part[stays.to(part.device)] for part in each)))
    return found
