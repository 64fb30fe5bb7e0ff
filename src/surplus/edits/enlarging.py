"""Enlarging: which shapes a model has with more units, and where in them the old ones are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.integers import agreed
from surplus.edits.intervals import pack
from surplus.edits.records import Count, Kept, Resize, Slice, Verb
from surplus.edits.resize import resized_copy
from surplus.units import Group, Size, Units, find_units, kept_along


@final
@dataclass(frozen=True, eq=False)
class Enlarged:
    """The step that enlarges a model, and where the new units are in it."""

    step: Resize
    new: dict[str, tuple[Group, Int[Tensor, " new"]]]
    """By layer: its group in the larger model, and which of its units are the new ones, in the order given."""


Like = Mapping[str, Int[Tensor, " new"]]
"""For each new unit of a layer the unit in whose place it stands: in the same block, counted by the same integers."""


def enlarged(model: nn.Module, units: Units, like: Like, verb: Verb) -> Enlarged:
    """Find the shapes of a model with more units, by tracing one.

    Where a new unit has to stand in every tensor is decided by the user's code: behind the last one, behind the last
    of each block, in the middle of what is concatenated. So a model of the right sizes is made first, with its
    positions in any order, and its units are found anew; they say which positions belong to whom.

    Raises:
        InvalidArgument: the larger model does not run or falls into other units, as where a literal holds a size.
    """
    counts = {name: len(each) for name, each in like.items()}
    _check_unnumbered(units, counts)
    step = _at_the_end(units, like)
    rough = resized_copy(model, step)
    try:
        found = find_units(rough, units.example)
    except InvalidArgument as failed:
        raise InvalidArgument(
            f"With {_listed(counts)} the model does not run: {failed} A size that is written as a literal does not"
            " follow; read it from a tensor, or keep it as an attribute of the module."
        ) from failed
    pairs = _paired(units, found, counts)
    kept = {old.name: torch.arange(old.size) for old, _ in pairs}
    added = {}
    for old, new in pairs:
        if old.name in counts:
            before, after = places_of(units, old), places_of(found, new)
            kept[old.name] = _assigned(before, after)
            free = _others(kept[old.name], new.size)
            added[old.name] = new, _in_order(before, like[old.name], after, free)
    slices = tuple(_placed(each, pairs, kept) for each in step.slices)
    layers = tuple(
        Kept(layer=old.name, size=new.size, kept=pack(sorted(kept[old.name].tolist())))
        for old, new in pairs
        if old.name in counts
    )
    return Enlarged(Resize(verb=verb, units=layers, slices=slices, integers=step.integers), added)


def _listed(counts: Mapping[str, int]) -> str:
    return " and ".join(f"{count} more units of `{name}`" for name, count in counts.items())


def behind(group: Group, count: int) -> Int[Tensor, " new"]:
    """Return the units in whose places new ones stand: the last one, or the last of each block.

    Raises:
        InvalidArgument: as many must be added to each block.
    """
    last = torch.tensor([group.size - 1])
    if group.constraints:
        constraint = max(group.constraints, key=lambda each: len(each.blocks))
        last = constraint.blocks[:, -1]
        if count % len(last):
            raise InvalidArgument(
                f"`{group.name}` cannot have {count} more units, since {constraint.reason}: add a multiple of"
                f" {len(last)}."
            )
    return last.repeat(count // len(last))


def _check_unnumbered(units: Units, names: Iterable[str]) -> None:
    for name in names:
        for each in units.numbers:
            if bool(torch.isin(units[name].roots, each.ids).any()):
                raise InvalidArgument(
                    f"`{each.tensor}` picks units of `{name}` by their positions, and would not say which new ones."
                    " They cannot be added one by one."
                )


def _at_the_end(units: Units, like: Like) -> Resize:
    """Return a step to the right sizes, with all that is new at the end of each axis."""
    more: dict[tuple[str, int], int] = {}
    for name, each in like.items():
        # A weight that both computes and reads the units, as a tied one, has one slot for both.
        own = {(slot.tensor, slot.axis): slot.index.shape[1] for slot in units[name].slots}
        for key, width in own.items():
            more[key] = more.get(key, 0) + len(each) * width
    slices = []
    for (tensor, axis), added in more.items():
        size = units.shapes[tensor][axis]
        slices.append(Slice(tensor=tensor, axis=axis, size=size + added, kept=((0, size),)))
    return Resize(
        verb="grow", units=(), slices=tuple(slices), integers=_larger_integers(units, like)
    )


def _larger_integers(units: Units, like: Like) -> tuple[Count, ...]:
    """Return the integers that count new units, too.

    Raises:
        InvalidArgument: one integer counts two things that would no longer be equally many.
    """
    found = []
    for size in units.sizes:
        before = size.ids.shape[size.axis]
        more = sum(_counted(size, units[name], each) for name, each in like.items())
        found.append((size.integer, before, before + more))
    return agreed(found)


def _counted(size: Size, group: Group, like: Int[Tensor, " new"]) -> int:
    """Return how many more positions an integer counts with new units in the places of others."""
    before = size.ids.shape[size.axis]
    if not group.constraints:
        lost = {
            unit: before - kept_along(size.ids, size.axis, group.roots[unit : unit + 1])
            for unit in torch.unique(like).tolist()
        }
        return sum(lost[unit] for unit in like.tolist())
    together = torch.unique(like)  # one of each block, which some integers only count together
    without = kept_along(size.ids, size.axis, group.roots[together])
    return (before - without) * len(like) // len(together)


def _paired(units: Units, found: Units, counts: Mapping[str, int]) -> list[tuple[Group, Group]]:
    """Pair each group with the one that it has become, in the order in which they run."""
    olds, news = list(units), list(found)
    for old, new in zip(olds, news, strict=False):
        if [(slot.tensor, slot.axis) for slot in old.slots] != [
            (slot.tensor, slot.axis) for slot in new.slots
        ] or new.size != old.size + counts.get(old.name, 0):
            why = f": {new.protected}" if new.protected else ""
            raise InvalidArgument(
                f"With {_listed(counts)} the units of `{old.name}` would be others{why}."
                " They cannot be added one by one."
            )
    if len(olds) != len(news):
        raise InvalidArgument(
            f"With {_listed(counts)} the model has {len(news)} groups of units, not {len(olds)}."
            " They cannot be added one by one."
        )
    return list(zip(olds, news, strict=True))


def _assigned(old: list[tuple[int, ...]], new: list[tuple[int, ...]]) -> Int[Tensor, " units"]:
    """Return which units of the larger group the old ones are: in the same place, the first ones.

    Raises:
        InvalidArgument: the larger group has other places.
    """
    free: dict[tuple[int, ...], list[int]] = {}
    for unit, place in enumerate(new):
        free.setdefault(place, []).append(unit)
    taken = {place: iter(each) for place, each in free.items()}
    try:
        return torch.tensor([next(taken[place]) for place in old])
    except (KeyError, StopIteration) as other:
        raise InvalidArgument(
            "In a larger model the units would be counted by other integers; they cannot be added one by one."
        ) from other


def places_of(units: Units, group: Group) -> list[tuple[int, ...]]:
    """Return for each unit what tells its place: its block in each constraint, and the integers that count it."""
    rows = [torch.zeros(group.size, dtype=torch.int64)]
    for constraint in group.constraints:
        row = torch.zeros(group.size, dtype=torch.int64)
        numbers = torch.arange(len(constraint.blocks))[:, None].expand(constraint.blocks.shape)
        row[constraint.blocks] = numbers
        rows.append(row)
    rows += [torch.isin(group.roots, size.ids).long() for size in units.sizes]
    return [tuple(each) for each in torch.stack(rows).T.tolist()]


def _placed(
    rough: Slice, pairs: list[tuple[Group, Group]], kept: dict[str, Int[Tensor, " units"]]
) -> Slice:
    """Return where the old positions along one axis are in the larger model.

    Raises:
        InvalidArgument: they would have to change their order.
    """
    ((_, size),) = rough.kept
    place = torch.full((size,), -1)
    new_ones = torch.zeros(rough.size, dtype=torch.bool)
    for old, new in pairs:
        for before, after in zip(old.slots, new.slots, strict=True):
            if (before.tensor, before.axis) == (rough.tensor, rough.axis):
                place[before.index.reshape(-1)] = after.index[kept[old.name]].reshape(-1)
                new_ones[after.index] = True
    unowned = (~new_ones).nonzero()[:, 0]
    place[place == -1] = unowned
    if bool((place.diff() <= 0).any()):
        raise InvalidArgument(
            f"In a larger model the units along axis {rough.axis} of `{rough.tensor}` would stand in another order;"
            " they cannot be added one by one."
        )
    return Slice(tensor=rough.tensor, axis=rough.axis, size=rough.size, kept=pack(place.tolist()))


def _in_order(
    old: list[tuple[int, ...]],
    like: Int[Tensor, " new"],
    new: list[tuple[int, ...]],
    free: Int[Tensor, " new"],
) -> Int[Tensor, " new"]:
    """Return the free unit of the larger group for each new one: one in the place of the unit that it is like."""
    waiting: dict[tuple[int, ...], list[int]] = {}
    for unit in free.tolist():
        waiting.setdefault(new[unit], []).append(unit)
    try:
        return torch.tensor([waiting[old[unit]].pop(0) for unit in like.tolist()])
    except (KeyError, IndexError) as uneven:
        raise InvalidArgument(
            "The new units do not fit the larger model: as many are needed of each block."
        ) from uneven


def _others(chosen: Int[Tensor, " _"], size: int) -> Int[Tensor, " _"]:
    rest = torch.ones(size, dtype=torch.bool)
    rest[chosen] = False
    return rest.nonzero()[:, 0]
