"""Resolving: from ties between atoms to units that can be removed one by one, or as many from each block."""

from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from surplus.units.atoms import NONE, Atoms, Regularity, rooted


class Resolved(NamedTuple):
    """The units, and the blocks of which as many must be kept."""

    roots: Int[Tensor, " atoms"]
    """For each atom the unit it belongs to, as the smallest atom of that unit."""
    even: list[Regularity]


def resolve(atoms: Atoms) -> Resolved:
    """Tie atoms until every set of units leaves a network whose tensors still fit.

    Where an axis is folded into several, what is kept has to fill a box: units are made to lie along one of them.
    Where an axis is divided at fixed places, each unit has to have as much in every piece, or as many units must go
    from each.
    """
    while True:
        roots = atoms.components()
        kinds = signatures(atoms, roots)
        changed = [_boxed(atoms, box.ids, roots, box.reason) for box in atoms.boxes]
        even = []
        for regularity in atoms.regularities:
            state = _divided(atoms, regularity, roots, kinds)
            changed.append(state == "changed")
            if state == "even":
                even.append(regularity)
        if not any(changed):
            return Resolved(roots, even)


def signatures(atoms: Atoms, roots: Int[Tensor, " atoms"]) -> Int[Tensor, " atoms"]:
    """Return for each component a number that tells which axes it has atoms of, and how many of each.

    Components with the same number are units of one group. The number is a sum of one random 64-bit number per axis;
    that equal numbers mean equal counts is checked where groups are made.
    """
    generator = torch.Generator().manual_seed(0)
    limits = torch.iinfo(torch.int64)
    numbers = torch.randint(limits.min, limits.max, (len(atoms.axes),), generator=generator)
    sizes = torch.tensor([axis.size for axis in atoms.axes], dtype=torch.int64)
    spread = torch.repeat_interleave(numbers, sizes)
    return torch.zeros(atoms.size, dtype=torch.int64).index_add_(0, roots, spread)


def _boxed(atoms: Atoms, ids: Tensor, roots: Tensor, reason: str) -> bool:
    """Tie units that do not lie along one axis of a box; say whether anything was tied."""
    units = rooted(ids, roots)
    axes = [axis for axis, size in enumerate(ids.shape) if size > 1]
    if any(_depends_only_on(units, axis, axes) for axis in axes):
        return False
    chosen = max(axes, key=lambda axis: ids.shape[axis])
    first, first_units = ids, units
    for axis in axes:
        if axis != chosen:
            first, first_units = first.narrow(axis, 0, 1), first_units.narrow(axis, 0, 1)
    if bool(_apart(units, first_units).any()):
        atoms.unite(ids, first, reason)
        return True
    atoms.protect(ids, reason)  # tied as far as can be, and what belongs to no unit is in between
    return False


def _apart(some: Tensor, others: Tensor) -> Tensor:
    """Say where two different units meet."""
    return (some != others) & (some != NONE) & (others != NONE)


def _depends_only_on(units: Tensor, axis: int, axes: list[int]) -> bool:
    first = units
    for other in axes:
        if other != axis:
            first = first.narrow(other, 0, 1)
    return bool((units == first).all())


def _divided(atoms: Atoms, regularity: Regularity, roots: Tensor, kinds: Tensor) -> str:
    """Say whether each unit has its share in every piece ("fits"), or as many must go from each ("even").

    If neither can be, the positions of the pieces are tied ("changed"), or protected where the pieces differ in size.
    """
    pieces = [rooted(ids, roots) for ids in regularity.blocks]
    units, inverse = torch.unique(torch.cat(pieces), return_inverse=True)
    sizes = torch.tensor([len(piece) for piece in pieces])
    piece_of = torch.repeat_interleave(torch.arange(len(pieces)), sizes)
    counts = torch.zeros(len(units), len(pieces), dtype=torch.int64)
    counts.index_put_((inverse, piece_of), torch.ones_like(inverse), accumulate=True)
    real = units != NONE
    counts, units = counts[real], units[real]
    if bool((counts * sizes.sum() == counts.sum(1, keepdim=True) * sizes).all()):
        return "fits"
    equal = bool((sizes == sizes[0]).all())
    alone = bool(((counts > 0).sum(1) == 1).all()) and len(units) == len(pieces) * int(sizes[0])
    if equal and alone and int(sizes[0]) == 1:
        return _fixed(atoms, regularity, roots, units)  # the only position of a piece has to stay
    if equal and alone and len(torch.unique(kinds[units])) == 1:
        protected, _ = atoms.reasons(roots)
        if bool((protected[units] != NONE).any()):
            return _fixed(atoms, regularity, roots, units)
        return "even"
    if not equal or len(units) < 2:
        return _fixed(atoms, regularity, roots, units)
    if not bool(_apart(torch.stack(pieces), pieces[0]).any()):
        return _fixed(atoms, regularity, roots, units)
    atoms.unite(torch.stack(regularity.blocks), regularity.blocks[0], regularity.reason)
    return "changed"


def _fixed(atoms: Atoms, regularity: Regularity, roots: Tensor, units: Tensor) -> str:
    """Protect all positions of the pieces, which changes something if they were not before."""
    protected, _ = atoms.reasons(roots)
    if bool((protected[units] != NONE).all()):
        return "fits"
    for piece in regularity.blocks:
        atoms.protect(piece, regularity.reason)
    return "changed"
