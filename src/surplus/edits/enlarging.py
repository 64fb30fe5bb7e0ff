"""Enlarging: which shapes a model has with more units, and where in them the old ones are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.intervals import pack
from surplus.edits.records import Count, Kept, Resize, Slice, Verb
from surplus.edits.resize import resized_copy
from surplus.units import Group, Integer, Units, find_units, kept_along


@final
@dataclass(frozen=True, eq=False)
class Enlarged:
    """The step that enlarges a model, and where the new units are in it."""

    step: Resize
    new: dict[str, tuple[Group, Int[Tensor, " new"]]]
    """By layer: its group in the larger model, and which of its units are the new ones."""


def enlarged(model: nn.Module, units: Units, counts: Mapping[str, int], verb: Verb) -> Enlarged:
    """Find the shapes of a model with more units, by tracing one.

    Where a new unit has to stand in every tensor is decided by the user's code: behind the last one, behind the last
    of each block, in the middle of what is concatenated. So a model of the right sizes is made first, with its
    positions in any order, and its units are found anew; they say which positions belong to whom.

    Raises:
        InvalidArgument: the larger model does not run or falls into other units, as where a literal holds a size.
    """
    for name, count in counts.items():
        _check_even(units[name], count)
    step = _at_the_end(units, counts)
    rough = resized_copy(model, step)
    try:
        found = find_units(rough, units.example)
    except InvalidArgument as failed:
        raise InvalidArgument(
            f"With {_listed(counts)} the model does not run: {failed} A size that is written as a literal does not"
            " follow; read it from a tensor, or keep it as an attribute of the module."
        ) from failed
    pairs = _paired(units, found, counts)
    kept = {
        old.name: _assigned(old, new) if old.name in counts else torch.arange(old.size)
        for old, new in pairs
    }
    slices = tuple(_placed(each, pairs, kept) for each in step.slices)
    layers = tuple(
        Kept(layer=old.name, size=new.size, kept=pack(sorted(kept[old.name].tolist())))
        for old, new in pairs
        if old.name in counts
    )
    places = {
        old.name: (new, _others(kept[old.name], new.size))
        for old, new in pairs
        if old.name in counts
    }
    return Enlarged(Resize(verb=verb, units=layers, slices=slices, integers=step.integers), places)


def _listed(counts: Mapping[str, int]) -> str:
    return " and ".join(f"{count} more units of `{name}`" for name, count in counts.items())


def _check_even(group: Group, count: int) -> None:
    for constraint in group.constraints:
        blocks = len(constraint.blocks)
        if count % blocks:
            raise InvalidArgument(
                f"`{group.name}` cannot have {count} more units, since {constraint.reason}: add a multiple of {blocks}."
            )


def _at_the_end(units: Units, counts: Mapping[str, int]) -> Resize:
    """Return a step to the right sizes, with all that is new at the end of each axis."""
    more: dict[tuple[str, int], int] = {}
    for name, count in counts.items():
        # A weight that both computes and reads the units, as a tied one, has one slot for both.
        own = {(slot.tensor, slot.axis): slot.index.shape[1] for slot in units[name].slots}
        for key, width in own.items():
            more[key] = more.get(key, 0) + count * width
    slices = []
    for (tensor, axis), added in more.items():
        size = units.shapes[tensor][axis]
        slices.append(Slice(tensor=tensor, axis=axis, size=size + added, kept=((0, size),)))
    return Resize(
        verb="grow", units=(), slices=tuple(slices), integers=_larger_integers(units, counts)
    )


def _larger_integers(units: Units, counts: Mapping[str, int]) -> tuple[Count, ...]:
    """Return the integers that count new units, too.

    Raises:
        InvalidArgument: one integer counts two things that would no longer be equally many.
    """
    found: dict[Integer, tuple[int, int]] = {}
    for size in units.sizes:
        before = after = size.ids.shape[size.axis]
        for name, count in counts.items():
            first = _one_of_each_block(units[name])
            without = kept_along(size.ids, size.axis, units[name].roots[first])
            after += count * (before - without) // len(first)
        known = found.setdefault(size.integer, (before, after))
        if known != (before, after):
            raise InvalidArgument(
                f"`{size.integer.name}` of `{size.integer.module or 'the model'}` counts units in several places, which"
                f" would no longer be equally many: {known[1]} and {after}. Use an integer for each in your code, or"
                " read the sizes from the tensors."
            )
    return tuple(
        Count(module=each.module, name=each.name, place=each.place, before=before, after=after)
        for each, (before, after) in found.items()
        if before != after
    )


def _one_of_each_block(group: Group) -> Int[Tensor, " chosen"]:
    if not group.constraints:
        return torch.zeros(1, dtype=torch.int64)
    return max(group.constraints, key=lambda each: len(each.blocks)).blocks[:, 0]


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


def _assigned(old: Group, new: Group) -> Int[Tensor, " units"]:
    """Return which units of the larger group the old ones are: in the same blocks, the first ones."""
    free: dict[tuple[int, ...], list[int]] = {}
    for unit, blocks in enumerate(block_of_units(new)):
        free.setdefault(blocks, []).append(unit)
    taken = {blocks: iter(each) for blocks, each in free.items()}
    return torch.tensor([next(taken[blocks]) for blocks in block_of_units(old)])


def block_of_units(group: Group) -> list[tuple[int, ...]]:
    """Return for each unit in which block of each constraint it lies."""
    block = torch.zeros(len(group.constraints), group.size, dtype=torch.int64)
    for place, constraint in enumerate(group.constraints):
        numbers = torch.arange(len(constraint.blocks))[:, None].expand(constraint.blocks.shape)
        block[place, constraint.blocks] = numbers
    return [tuple(each) for each in block.T.tolist()] if len(block) else [()] * group.size


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


def _others(chosen: Int[Tensor, " _"], size: int) -> Int[Tensor, " _"]:
    rest = torch.ones(size, dtype=torch.bool)
    rest[chosen] = False
    return rest.nonzero()[:, 0]
