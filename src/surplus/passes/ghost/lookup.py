"""Gradients of tables of embeddings: each position adds to the row of its token."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from surplus.passes.ghost.direct import energy


@final
class Lookup:
    """Tokens [batch, positions] and the gradients at what they were replaced by [batch, positions, width]."""

    def __init__(
        self,
        tokens: Int[Tensor, "batch positions"],
        deltas: Float[Tensor, "batch positions width"],
        num_rows: int,
    ) -> None:
        self.tokens, self.deltas = tokens, deltas
        self.num_rows = num_rows

    @property
    def num_examples(self) -> int:
        """The examples of the batch."""
        return len(self.tokens)

    @property
    def num_columns(self) -> int:
        """The columns in which `columns` counts: the width of an embedding."""
        return self.deltas.shape[2]

    @property
    def column_size(self) -> int:
        """The values in a column."""
        return self.num_rows

    def squared_norms(self) -> Float[Tensor, " batch"]:
        """Return the squared norm of each example's gradient, in float64."""
        batch, positions, width = self.deltas.shape
        examples = torch.arange(batch, device=self.tokens.device)[:, None]
        pairs, place = torch.unique(examples * self.num_rows + self.tokens, return_inverse=True)
        rows = self.deltas.new_zeros(len(pairs), width)
        rows.index_add_(0, place.reshape(-1), self.deltas.reshape(batch * positions, width))
        found = torch.zeros(batch, dtype=torch.float64, device=rows.device)
        return found.index_add_(0, pairs // self.num_rows, energy(rows))

    def dots(self, direction: Float[Tensor, " values"]) -> Float[Tensor, " batch"]:
        """Return the scalar product of each example's gradient with a direction, flattened, in float64."""
        table = direction.reshape(self.num_rows, -1).to(self.deltas)
        return (self.deltas * table[self.tokens]).sum((1, 2), dtype=torch.float64)

    def gradients(self, examples: slice) -> Tensor:
        """Return the gradients of some examples: [examples, rows, width]."""
        return self._table(examples, 0, self.num_columns)

    def columns(self, examples: slice, start: int, stop: int) -> Tensor:
        """Return some columns of the gradients of some examples: [examples, values]."""
        return self._table(examples, start, stop).flatten(1)

    def compact(self) -> "Lookup":
        """Return what takes the least memory."""
        return self

    def _table(self, examples: slice, start: int, stop: int) -> Tensor:
        tokens, deltas = self.tokens[examples], self.deltas[examples, :, start:stop]
        table = deltas.new_zeros(len(tokens), self.num_rows, deltas.shape[2])
        return table.scatter_add_(1, tokens[..., None].expand_as(deltas), deltas)


def renumbered(pieces: list[Lookup]) -> list[Lookup]:
    """Return the same gradients without the rows of the table that no token asked for."""
    tokens, place = torch.unique(
        torch.cat([each.tokens.reshape(-1) for each in pieces]), return_inverse=True
    )
    parts = place.split([each.tokens.numel() for each in pieces])
    return [
        Lookup(part.reshape(each.tokens.shape), each.deltas, len(tokens))
        for each, part in zip(pieces, parts, strict=True)
    ]
