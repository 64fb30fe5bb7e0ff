"""Counting: one integer of the user's that counts two layers keeps them equally long."""

from collections.abc import Iterable

import torch
from jaxtyping import Int
from torch import Tensor

from surplus.units.atoms import NONE, Atoms
from surplus.units.flow import Integer, Size


def tie_what_is_counted(atoms: Atoms, sizes: Iterable[Size], roots: Int[Tensor, " atoms"]) -> bool:
    """Tie different units that one integer counts, position by position; say whether there were any.

    Untied, neither could go: the integer would have to say how many are left of either.
    """
    first: dict[Integer, Tensor] = {}
    tied = False
    for size in sizes:
        ids = size.ids.reshape(-1)
        if len(ids) != size.ids.shape[size.axis] or bool((ids == NONE).any()):
            continue  # they lie along several axes, or some of them are no units
        known = first.setdefault(size.integer, ids)
        if len(known) == len(ids) and not bool(torch.isin(roots[known], roots[ids]).any()):
            why = f"`{size.integer.name}` of `{size.integer.module or 'the model'}` counts both"
            atoms.unite(known, ids, why)
            tied = True
    return tied
