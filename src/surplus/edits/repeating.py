"""Repeating: which units others can stand in for exactly, as the weights tell."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.enlarging import places_of
from surplus.edits.stand_ins import StandIns
from surplus.edits.verifying import example_for
from surplus.masks import Mask
from surplus.units import Group, Units, evaluating, left_as_found, tapped

CHUNK = 1024
"""How many units are compared with all others at a time."""


def mergeable(units: Units, tolerance: float = 1e-6) -> Mask:
    """Return the mask that removes every unit that `merge` can do without exactly.

    These are all that repeat another one that stays, and those that emit the same whatever the input.

    Args:
        units: The units of a model.
        tolerance: How far weights may be apart, relative to their norm, and still count as the same.
    """
    kept = {}
    for group in units.removable():
        alike = _alike(units.model, units, group.name, tolerance)
        stays = torch.ones(group.size, dtype=torch.bool)
        stays[alike.constant] = False
        for unit in range(group.size):
            if stays[unit]:
                repeats = alike.pairs[:, 1][alike.pairs[:, 0] == unit]
                stays[repeats] = False
        if not stays.any():
            stays[0] = True
        kept[group.name] = _even(group, stays)
    return Mask(kept, "units", units)


def exact_stand_ins(model: nn.Module, mask: Mask, tolerance: float = 1e-6) -> dict[str, StandIns]:
    """Find for every removed unit the kept one that it repeats, or that it emits a constant.

    Raises:
        InvalidArgument: there are removed units for which neither is so.
    """
    units = mask.checked_units()
    found = {}
    for name in mask.kept:
        removed, kept = mask.removed_index(name), mask.kept_index(name)
        alike = _alike(model, units, name, tolerance)
        coefficients = torch.zeros(len(removed), len(kept), dtype=torch.float64)
        left = []
        for row, unit in enumerate(removed.tolist()):
            of = alike.pairs[:, 1] == unit
            twins = of & torch.isin(alike.pairs[:, 0], kept)
            if alike.constant[unit]:
                continue
            if not twins.any():
                left.append(unit)
                continue
            place = int(twins.nonzero()[0])
            column = int((kept == alike.pairs[place, 0]).nonzero()[0])
            coefficients[row, column] = alike.factors[place]
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
    first, second = pairs[:, 0], pairs[:, 1]
    near = (incoming[first] - incoming[second]).norm(dim=1) <= tolerance * norms[first]
    apart = (carried[first] - carried[second]).norm(dim=1)
    same = near & (apart <= tolerance * (1 + carried[first].norm(dim=1)))
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
    """Return by how much the second of each pair is the first on the example, or NaN where it is no multiple of it."""
    if group.tap is None:
        return torch.full((len(pairs),), torch.nan, dtype=torch.float64)
    positional, named = example_for(model, units.example)
    with torch.no_grad(), evaluating(model), left_as_found(model):
        seen = tapped(model, group.tap, positional, named).double().cpu()
    first, second = seen[pairs[:, 0]], seen[pairs[:, 1]]
    factors = (first * second).sum(1) / first.square().sum(1)
    apart = (second - factors[:, None] * first).norm(dim=1)
    fits = apart <= tolerance * second.norm(dim=1)
    # One value is a multiple of any other: two different ones at least, or nothing is said.
    varies = (first.amax(1) - first.amin(1)) > tolerance * first.abs().amax(1)
    return torch.where(fits & varies & (factors != 0), factors, torch.nan)


def _even(group: Group, stays: Bool[Tensor, " units"]) -> Bool[Tensor, " units"]:
    """Let as many units stay in each block, by taking some back."""
    stays = stays.clone()
    for constraint in group.constraints:
        most = int(stays[constraint.blocks].sum(1).max())
        for block in constraint.blocks:
            back = block[~stays[block]][: most - int(stays[block].sum())]
            stays[back] = True
    return stays
