"""What matrix products multiply, row by row."""

from typing import final

import torch
from torch import Tensor

from surplus.passes.ghost.layout import Layout


@final
class Dense:
    """Rows [rows, groups, fan_in] and the gradients at the outputs [rows, groups, units]."""

    unfolds = False

    def __init__(self, rows: Tensor, deltas: Tensor, layout: Layout, examples: int) -> None:
        self._rows = layout.split(rows, examples, tuple(rows.shape[1:]))
        self._deltas = layout.split(deltas, examples, tuple(deltas.shape[1:]))
        self.num_examples = examples
        self.num_positions = self._rows.shape[0] * self._rows.shape[2]
        self.groups, self.fan_in, self.units = rows.shape[1], rows.shape[2], deltas.shape[2]

    @property
    def held(self) -> int:
        """How many values per example it keeps."""
        return self.num_positions * self.groups * (self.fan_in + self.units)

    def inputs(self, examples: slice) -> Tensor:
        """Return [examples, groups, positions, fan_in]."""
        return _by_example(self._rows[:, examples])

    def deltas(self, examples: slice, start: int = 0, stop: int | None = None) -> Tensor:
        """Return [examples, groups, positions, units], or some of the units."""
        return _by_example(self._deltas[:, examples, ..., start:stop])

    def products(self, examples: slice, start: int = 0, stop: int | None = None) -> Tensor:
        """Return the sums over positions: [examples, groups, units, fan_in], or some of the units."""
        return self.deltas(examples, start, stop).mT @ self.inputs(examples)

    def dots(self, W: Tensor, examples: slice) -> Tensor:
        """Return the scalar product of each gradient with [groups, units, fan_in]."""
        deltas = self.deltas(examples)
        outputs = self.inputs(examples) @ W.mT.to(deltas)
        return (outputs * deltas).sum((1, 2, 3), dtype=torch.float64)

    def rows(self, positions: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return inputs and deltas of the first group at some positions, or all: [batch, positions, ...]."""
        chosen = slice(None) if positions is None else positions.to(self._rows.device)
        everything = slice(0, self.num_examples)
        return self.inputs(everything)[:, 0, chosen], self.deltas(everything)[:, 0, chosen]


def _by_example(rows: Tensor) -> Tensor:
    """Return [outer, examples, inner, groups, values] as [examples, groups, positions, values]."""
    outer, examples, inner, groups, values = rows.shape
    if outer == 1:
        return rows[0].transpose(1, 2)
    return rows.permute(1, 3, 0, 2, 4).reshape(examples, groups, outer * inner, values)
