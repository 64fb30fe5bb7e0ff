"""Gradients of parameters that several operators read, each in its own way."""

from collections.abc import Sequence
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from surplus.passes.ghost.direct import Direct, energy
from surplus.passes.ghost.pieces import Piece
from surplus.passes.ghost.products import chunks

LIMIT = 2**24
"""Values of per-example gradients that are held at a time."""


@final
class Summed:
    """The sum over uses of a parameter, put together from its values in the parameter's own order.

    Args:
        pieces: The gradients of each use.
        places: Where the values of each lie in the flattened parameter.
        like: The parameter.
        num_examples: The examples of the batch.
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        places: Sequence[Int[Tensor, " _"]],
        like: Tensor,
        num_examples: int,
    ) -> None:
        self._pieces, self._places, self._like = pieces, places, like.detach()
        self._examples = num_examples

    @property
    def num_examples(self) -> int:
        """The examples of the batch."""
        return self._examples

    @property
    def num_axes(self) -> int:
        """The axes of the parameter."""
        return self._like.dim()

    @property
    def num_columns(self) -> int:
        """The columns in which `columns` counts."""
        return self._like.numel()

    @property
    def column_size(self) -> int:
        """The values in a column."""
        return 1

    @property
    def apart(self) -> bool:
        """Whether the uses read different values, so that squared norms add."""
        return sum(map(len, self._places)) == len(torch.unique(torch.cat([*self._places])))

    def squared_norms(self) -> Float[Tensor, " batch"]:
        """Return the squared norm of each example's gradient, in float64."""
        device = self._like.device
        if not self._pieces:
            return torch.zeros(self._examples, dtype=torch.float64, device=device)
        if self.apart:
            return torch.stack([piece.squared_norms() for piece in self._pieces]).sum(0)
        slices = chunks(self._examples, self._like.numel())
        return torch.cat([energy(self.columns(each, 0, self.num_columns)) for each in slices])

    def dots(self, direction: Float[Tensor, " values"]) -> Float[Tensor, " batch"]:
        """Return the scalar product of each example's gradient with a direction, flattened, in float64."""
        found = torch.zeros(self._examples, dtype=torch.float64, device=self._like.device)
        for piece, places in zip(self._pieces, self._places, strict=True):
            found += piece.dots(direction[places])
        return found

    def gradients(self, examples: slice) -> Tensor:
        """Return the gradients of some examples: [examples, *shape]."""
        count = len(range(*examples.indices(self._examples)))
        found = self._like.new_zeros(count, self._like.numel())
        for piece, places in zip(self._pieces, self._places, strict=True):
            found.index_add_(1, places, piece.gradients(examples).reshape(count, -1))
        return found.reshape(count, *self._like.shape)

    def columns(self, examples: slice, start: int, stop: int) -> Tensor:
        """Return part of the gradients of some examples: [examples, values]."""
        found = self.gradients(examples)
        return found.reshape(len(found), -1)[:, start:stop]

    def compact(self) -> Piece:
        """Return what takes the least memory."""
        if self._examples * self._like.numel() > LIMIT:
            return self
        return Direct(self.gradients(slice(0, self._examples)))
