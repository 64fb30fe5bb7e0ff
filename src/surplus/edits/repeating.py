"""Repeating: which units others can stand in for exactly, as the weights tell."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.enlarging import places_of
from surplus.edits.folding import foldable
from surplus.edits.reading import values_read
from surplus.edits.refusing import computed_and_read
from surplus.edits.stand_ins import StandIns
from surplus.masks import Mask
from surplus.units import Group, Units

CHUNK = 1024
"""How many units, or pairs of them, are compared at a time."""
ENOUGH = 3
"""How many different values besides zero tell that one unit is a multiple of another."""


def mergeable(units: Units, tolerance: float = 1e-6) -> Mask:
    """Return the mask that removes every unit that `merge` can do without exactly.

    These are all that repeat another one that stays, and those that emit the same whatever the input, where what reads
    them has a bias that can take it.

    Args:
        units: The units of a model.
        tolerance: How far weights may be apart, relative to their norm, and still count as the same, in [0, 1).

    Raises:
        InvalidArgument: the tolerance is another, or the model was edited since its units were found.
    """
    if not 0 <= tolerance < 1:
        raise InvalidArgument(
            f"`tolerance` is {tolerance}; it is how far weights may be apart relative to their norm, in [0, 1)."
        )
    units.check(units.model)
    kept = {}
    for group in units.removable():
        stays = torch.ones(group.size, dtype=torch.bool)
        if unmergeable(group) is None:
            stays = _left(units, group, tolerance)
        kept[group.name] = stays
    return Mask(kept, "units", units)


def unmergeable(group: Group) -> str | None:
    """Say why no unit of a layer can stand in for another exactly, whatever the weights, or None."""
    weight = computed_and_read(group)
    if weight is not None:
        return (
            f"are computed and read by the same weight, `{weight}`, which cannot take over what others did without"
            " computing something else"
        )
    if group.met is not None:
        return f"are added up without weights by {group.met}, so that none can take over what others did"
    if group.coupled is not None:
        return f"share statistics, which change with every unit that goes: {group.coupled}"
    return None


def _left(units: Units, group: Group, tolerance: float) -> Bool[Tensor, " units"]:
    """Return which units of a layer stay."""
    alike = _alike(units.model, units, group.name, tolerance)
    constant = alike.constant.nonzero()[:, 0]
    constant = constant[foldable(units.model, units.example, group, constant)]
    stays = torch.ones(group.size, dtype=torch.bool)
    stays[constant] = False
    start = torch.searchsorted(alike.pairs[:, 0].contiguous(), torch.arange(group.size + 1))
    for unit in range(group.size):
        if stays[unit]:
            stays[alike.pairs[start[unit] : start[unit + 1], 1]] = False
    if not stays.any():
        stays[0] = True
    return _even(group, stays)


def exact_stand_ins(model: nn.Module, mask: Mask, tolerance: float = 1e-6) -> dict[str, StandIns]:
    """Find for every removed unit the kept one that it repeats, or that it emits a constant.

    Raises:
        InvalidArgument: there are removed units for which neither is so.
    """
    units = mask.checked_units()
    found = {}
    for name in mask.kept:
        removed, kept = mask.removed_index(name), mask.kept_index(name)
        if not len(removed):
            continue
        alike = _alike(model, units, name, tolerance)
        column = torch.full((len(mask.kept[name]),), -1)
        column[kept] = torch.arange(len(kept))
        stays = (column[alike.pairs[:, 0]] >= 0).nonzero()[:, 0].flip(0)  # the first one counts
        twin = dict(zip(alike.pairs[stays, 1].tolist(), stays.tolist(), strict=True))
        coefficients = torch.zeros(len(removed), len(kept), dtype=torch.float64)
        left = []
        for row, unit in enumerate(removed.tolist()):
            if alike.constant[unit]:
                continue
            if unit not in twin:
                left.append(unit)
                continue
            place = twin[unit]
            coefficients[row, column[alike.pairs[place, 0]]] = alike.factors[place]
        if left:
            raise InvalidArgument(
                f"{len(left)} of the {len(removed)} units that the mask removes from `{name}` neither repeat one that"
                f" stays nor emit a constant, such as unit {left[0]}. Pass `stand_ins=` with the combinations that"
                " replace them, as `surplus.passes.stand_ins` fits them to data, or remove them with `cut`."
            )
        found[name] = StandIns(coefficients=coefficients)
    return found


class _Alike(NamedTuple):
    """Which units of a layer repeat which."""

    constant: Bool[Tensor, " units"]
    """The units into which nothing goes."""
    pairs: Int[Tensor, "pairs two"]
    """A unit, and another that is a multiple of it."""
    factors: Float[Tensor, " pairs"]
    """By how much."""


def _alike(model: nn.Module, units: Units, name: str, tolerance: float) -> _Alike:
    incoming = units.weight_vectors(name, model).double().cpu()
    carried = units.carried(name, model).double().cpu()
    norms = incoming.norm(dim=1)
    constant = norms == 0
    pairs = _in_one_block(units, units[name], _parallel(incoming, norms, tolerance))
    same = torch.zeros(len(pairs), dtype=torch.bool)
    for place in torch.split(torch.arange(len(pairs)), CHUNK):
        first, second = pairs[place, 0], pairs[place, 1]
        # They point the same way already, so that as long ones are equal ones.
        near = (norms[first] - norms[second]).abs() <= tolerance * norms[first]
        apart = (carried[first] - carried[second]).norm(dim=1)
        same[place] = near & (apart <= tolerance * (1 + carried[first].norm(dim=1)))
    factors = torch.where(same, 1.0, torch.nan).double()
    if not bool(same.all()):
        factors[~same] = _observed(model, units, units[name], pairs[~same], tolerance)
    real = ~factors.isnan()
    return _Alike(constant, pairs[real], factors[real])


def _parallel(
    vectors: Float[Tensor, "units fan_in"], norms: Float[Tensor, " units"], tolerance: float
) -> Int[Tensor, "pairs two"]:
    """Return all ordered pairs of units whose incoming weights point the same way."""
    directions = torch.where(norms[:, None] > 0, vectors / norms[:, None], 0.0)
    # The distance of two unit vectors is the root of 2 - 2 cos, which double precision resolves to about 1e-8.
    bound = 1 - max(tolerance, 2e-8) ** 2 / 2
    found = []
    for start in range(0, len(directions), CHUNK):
        cosines = directions[start : start + CHUNK] @ directions.T
        near = (cosines >= bound).nonzero()
        near[:, 0] += start
        found.append(near[near[:, 0] != near[:, 1]])
    return torch.cat(found)


def _in_one_block(
    units: Units, group: Group, pairs: Int[Tensor, "pairs two"]
) -> Int[Tensor, "some two"]:
    """Leave out pairs from different blocks, which read different inputs with their weights."""
    if not group.constraints:
        return pairs
    _, number = torch.unique(torch.tensor(places_of(units, group)), dim=0, return_inverse=True)
    return pairs[number[pairs[:, 0]] == number[pairs[:, 1]]]


def _observed(
    model: nn.Module, units: Units, group: Group, pairs: Int[Tensor, "pairs two"], tolerance: float
) -> Float[Tensor, " pairs"]:
    """Return by how much the second of each pair is the first on examples, or NaN where it is no multiple of it."""
    factors = torch.full((len(pairs),), torch.nan, dtype=torch.float64)
    try:
        # Where they are read, not where they are computed: what is in between may be no multiple any more.
        seen = values_read(model, units.example, group)
    except InvalidArgument:
        return factors
    telling = _telling(seen, tolerance)
    for place in torch.split(torch.arange(len(pairs)), CHUNK):
        first, second = seen[pairs[place, 0]], seen[pairs[place, 1]]
        factor = (first * second).sum(1) / first.square().sum(1)
        apart = (second - factor[:, None] * first).norm(dim=1)
        fits = (apart <= tolerance * second.norm(dim=1)) & telling[pairs[place, 0]] & (factor != 0)
        factors[place] = torch.where(fits, factor, torch.nan)
    return factors


def _telling(seen: Float[Tensor, "units values"], tolerance: float) -> Bool[Tensor, " units"]:
    """Say which units emit enough different values that a multiple of them is one on other inputs, too.

    One value is a multiple of any other, and rectifiers with other biases may all be off but for one input. So there
    have to be some different values besides zero.
    """
    ordered = seen.sort(dim=1).values
    scale = tolerance * seen.abs().amax(1, keepdim=True)
    new = torch.ones_like(ordered, dtype=torch.bool)
    new[:, 1:] = ordered.diff(dim=1) > scale
    return (new & (ordered.abs() > scale)).sum(1) >= ENOUGH


def _even(group: Group, stays: Bool[Tensor, " units"]) -> Bool[Tensor, " units"]:
    """Let as many units stay in each block, by taking some back."""
    stays = stays.clone()
    for constraint in group.constraints:
        most = int(stays[constraint.blocks].sum(1).max())
        for block in constraint.blocks:
            back = block[~stays[block]][: most - int(stays[block].sum())]
            stays[back] = True
    return stays
