"""The integers of the user's modules that count units, and the tensors that number them, after a cut."""

from collections.abc import Iterable

import torch

from surplus.base import InvalidArgument
from surplus.edits.intervals import pack
from surplus.edits.records import Count, Renumbered
from surplus.masks import Mask
from surplus.units import Integer, Numbers, Units, kept_along


def counts(mask: Mask, units: Units) -> tuple[Count, ...]:
    """Return the integers that change with a cut.

    Raises:
        InvalidArgument: one integer counts two things that would no longer be equally many.
    """
    gone = mask.removed_roots()
    found = []
    for size in units.sizes:
        before = size.ids.shape[size.axis]
        after = kept_along(size.ids, size.axis, gone)
        if after == 0 < before:
            raise InvalidArgument(
                f"The mask removes all {before} units that `{size.integer.name}` of"
                f" `{size.integer.module or 'the model'}` counts; keep at least one of them."
            )
        found.append((size.integer, before, after))
    return agreed(found)


def agreed(found: Iterable[tuple[Integer, int, int]]) -> tuple[Count, ...]:
    """Return the integers that change, each once, from what they count in each place before and after.

    Raises:
        InvalidArgument: one integer counts two things that would no longer be equally many.
    """
    counted: dict[Integer, tuple[int, int]] = {}
    for integer, before, after in found:
        known = counted.setdefault(integer, (before, after))
        if known != (before, after):
            raise InvalidArgument(
                f"`{integer.name}` of `{integer.module or 'the model'}` counts units in several places, which would no"
                f" longer be equally many: {known[1]} instead of {known[0]}, and {after} instead of {before}."
                " Use an integer for each in your code, or read the sizes from the tensors."
            )
    return tuple(
        Count(module=each.module, name=each.name, place=each.place, before=before, after=after)
        for each, (before, after) in counted.items()
        if before != after
    )


def numbered(mask: Mask, units: Units) -> tuple[Renumbered, ...]:
    """Return the tensors whose numbers change with a cut.

    Raises:
        InvalidArgument: one tensor numbers two axes of which not the same positions would be left.
    """
    gone = mask.removed_roots()
    found: dict[str, Numbers] = {}
    for each in units.numbers:
        known = found.setdefault(each.tensor, each)
        if not torch.equal(known.after(gone), each.after(gone)):
            raise InvalidArgument(
                f"`{each.tensor}` picks positions of two axes, of which other ones would be left: use a tensor for each"
                " in your code, or remove the same positions of both."
            )
    return tuple(
        Renumbered(tensor=name, size=len(each.ids), kept=pack(each.kept(gone).tolist()))
        for name, each in found.items()
        if not torch.equal(each.after(gone), each.values)
    )
