"""Numbers: tensors of a model that say which positions of an axis are picked, as permutations do."""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor


class Numbers(NamedTuple):
    """A tensor of the model whose values are positions of an axis of these ids; a removal numbers these anew."""

    tensor: str
    values: Int[Tensor, " numbers"]
    ids: Int[Tensor, " positions"]

    def kept(self, gone: Int[Tensor, " removed"]) -> Int[Tensor, " kept"]:
        """Return the positions of the axis that are left when units have gone."""
        return (~torch.isin(self.ids, gone)).nonzero()[:, 0]

    def after(self, gone: Int[Tensor, " removed"]) -> Int[Tensor, " left"]:
        """Return the values that are left when units have gone, numbered anew."""
        kept = self.kept(gone)
        return renumbered(self.values[torch.isin(self.values, kept)], kept)


def renumbered(values: Int[Tensor, "..."], kept: Int[Tensor, " kept"]) -> Int[Tensor, "..."]:
    """Return positions of an axis as positions of what is kept of it.

    Example:
        >>> renumbered(torch.tensor([5, 0, 3]), torch.tensor([0, 3, 5])).tolist()
        [2, 0, 1]
    """
    return torch.searchsorted(kept.to(values.device), values).to(values.dtype)
