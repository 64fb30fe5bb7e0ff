"""Gradients of weight matrices: sums over positions of (gradient at the output) x (input)."""

from collections.abc import Sequence
from typing import Protocol, final, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.passes.ghost.direct import Direct, energy

CHUNK = 2**22
"""Values that are worked on at a time."""


@runtime_checkable
class Part(Protocol):
    """What one operator multiplies: its inputs and the gradients that come back to its outputs."""

    num_examples: int
    num_positions: int
    groups: int
    fan_in: int
    units: int
    unfolds: bool
    """Whether inputs have to be copied out of something smaller, and products do not."""

    @property
    def held(self) -> int:
        """How many values per example it keeps."""
        ...

    def inputs(self, examples: slice) -> Tensor:
        """Return [examples, groups, positions, fan_in]."""
        ...

    def deltas(self, examples: slice, start: int = 0, stop: int | None = None) -> Tensor:
        """Return [examples, groups, positions, units], or some of the units."""
        ...

    def products(self, examples: slice, start: int = 0, stop: int | None = None) -> Tensor:
        """Return the sums over positions: [examples, groups, units, fan_in], or some of the units."""
        ...

    def dots(self, W: Tensor, examples: slice) -> Tensor:
        """Return the scalar product of each gradient with [groups, units, fan_in], in float64."""
        ...

    def rows(self, positions: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return inputs and deltas of the first group at some positions, or all: [batch, positions, ...]."""
        ...


@final
class Products:
    """Gradients of a weight matrix, or of a block-diagonal one (`groups`), of which nothing is formed unless asked.

    Args:
        parts: The operators that read the matrix, all in the same way: their positions are simply more positions.
        shape: The shape in which they read it.
        columns_first: They read it as [fan_in, units].
        exchanged: What is called inputs here are gradients, and the other way round.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        shape: tuple[int, ...],
        columns_first: bool = False,
        exchanged: bool = False,
    ) -> None:
        first = parts[0]
        self.parts, self.exchanged = parts, exchanged
        self.shape, self.columns_first = shape, columns_first
        self.num_examples = first.num_examples
        self.groups, self.fan_in, self.units = first.groups, first.fan_in, first.units
        self.num_positions = sum(part.num_positions for part in parts)
        self.unfolds = first.unfolds

    @property
    def num_columns(self) -> int:
        """The columns in which `columns` counts: the units of a group."""
        return self.units

    @property
    def column_size(self) -> int:
        """The values in a column."""
        return self.groups * self.fan_in

    def inputs(self, examples: slice) -> Float[Tensor, "examples groups positions fan_in"]:
        """Return what the matrix received."""
        found = [part.inputs(examples) for part in self.parts]
        return found[0] if len(found) == 1 else torch.cat(found, 2)

    def deltas(
        self, examples: slice, start: int = 0, stop: int | None = None
    ) -> Float[Tensor, "examples groups positions units"]:
        """Return what came back to its outputs."""
        found = [part.deltas(examples, start, stop) for part in self.parts]
        return found[0] if len(found) == 1 else torch.cat(found, 2)

    def products(
        self, examples: slice, start: int = 0, stop: int | None = None
    ) -> Float[Tensor, "examples groups units fan_in"]:
        """Return the gradients of some examples, of all units or some."""
        found = [part.products(examples, start, stop) for part in self.parts]
        return found[0] if len(found) == 1 else torch.stack(found).sum(0)

    def squared_norms(self) -> Float[Tensor, " batch"]:
        """Return the squared norm of each example's gradient, in float64, by the cheaper of two ways."""
        everything = slice(0, self.num_examples)
        if self.num_positions == 1:
            return (energy(self.deltas(everything)) * energy(self.inputs(everything))).sum((1, 2))
        return torch.cat([self._squared_norms(each) for each in self.chunks()])

    def dots(self, direction: Float[Tensor, " values"]) -> Float[Tensor, " batch"]:
        """Return the scalar product of each example's gradient with a direction, flattened, in float64."""
        shape = (self.groups, self.fan_in, self.units)
        if not self.columns_first:
            shape = (self.groups, self.units, self.fan_in)
        W = direction.reshape(shape)
        W = W.mT if self.columns_first else W
        slices = chunks(self.num_examples, self.groups * self.num_positions * self.units)
        found = [torch.stack([part.dots(W, each) for part in self.parts]).sum(0) for each in slices]
        return torch.cat(found)

    @property
    def by_gram(self) -> bool:
        """Whether two Gram matrices over positions are cheaper than the gradients themselves."""
        cost = self.num_positions * (self.fan_in + self.units) * (2 if self.unfolds else 1)
        return cost < self.fan_in * self.units

    def chunks(self) -> list[slice]:
        """Return slices of the batch small enough to work on."""
        positions, sides = self.num_positions, self.fan_in + self.units
        if self.by_gram:
            return chunks(self.num_examples, self.groups * positions * max(positions, sides))
        # Products of matrices are best read while they are in the cache; images are not copied.
        result = self.fan_in * self.units
        values = 4 * result if self.unfolds else max(16 * result, positions * sides)
        return chunks(self.num_examples, self.groups * values)

    def _squared_norms(self, examples: slice) -> Float[Tensor, " examples"]:
        if self.by_gram:
            inputs, deltas = self.inputs(examples), self.deltas(examples)
            overlaps = (inputs @ inputs.mT) * (deltas @ deltas.mT)
            # Rounding can take a sum of signed products below zero.
            return overlaps.sum((1, 2, 3), dtype=torch.float64).clamp(min=0)
        return energy(self.products(examples).flatten(1))

    def gradients(self, examples: slice) -> Tensor:
        """Return the gradients of some examples: [examples, *shape]."""
        found = self.products(examples)
        return (found.mT if self.columns_first else found).reshape(len(found), *self.shape)

    def columns(self, examples: slice, start: int, stop: int) -> Tensor:
        """Return the gradients of some examples, for the units from `start` to `stop`: [examples, values]."""
        return self.products(examples, start, stop).transpose(1, 2).flatten(1)

    def compact(self) -> "Products | Direct":
        """Return what takes the least memory: this, or the gradients, in the order of the columns."""
        if sum(part.held for part in self.parts) <= self.groups * self.fan_in * self.units:
            return self
        return Direct(torch.cat([self.columns(each, 0, self.units) for each in self.chunks()]))


def chunks(count: int, values: int, limit: int = CHUNK) -> list[slice]:
    """Cut a batch into slices of at most `limit` values, at least one example each.

    Example:
        >>> chunks(5, 10, 20)
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    size = max(1, limit // max(values, 1))
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
