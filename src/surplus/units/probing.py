"""Probing: would the lengths that the code computes, and the integers that count units, follow a removal?"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from surplus.units.atoms import NONE, rooted
from surplus.units.flow import Dimension, Integer, Length, Size
from surplus.units.group import Group

Counted = dict[Integer, list[Size]]


class _Probe(NamedTuple):
    """What may not follow a removal, and the units that it depends on."""

    unlike: Callable[[Int[Tensor, " removed"]], str | None]
    """Returns why units cannot go, or None."""
    units: Int[Tensor, " units"]


def protect_what_does_not_follow(
    groups: dict[str, Group],
    lengths: Sequence[Length],
    sizes: Sequence[Size],
    roots: Int[Tensor, " atoms"],
) -> dict[str, Group]:
    """Protect groups whose removal would leave the code with lengths that do not fit together.

    Each group is tried by itself, with one unit (or one of each block) and with all but those gone.
    """
    names = [group.name for group in groups.values() if group.protected is None]
    owner = torch.full((len(roots) + 1,), NONE)
    for place, name in enumerate(names):
        owner[groups[name].roots] = place
    result = dict(groups)
    for probe in _probes(lengths, sizes, roots):
        for place in torch.unique(owner[probe.units]).tolist():
            if place == NONE or result[names[place]].protected is not None:
                continue
            group = result[names[place]]
            reason = next(filter(None, map(probe.unlike, _removals(group))), None)
            if reason is not None:
                result[group.name] = replace(group, protected=reason)
    return result


def kept_along(ids: Int[Tensor, "..."], axis: int, gone: Int[Tensor, " removed"]) -> int:
    """Return how many positions along an axis are kept; where units also vary along others, in a kept row of those."""
    kept = ~torch.isin(ids, gone)
    return int(kept.sum(axis).max())


def _removals(group: Group) -> Iterator[Tensor]:
    if group.constraints:
        blocks = max(group.constraints, key=lambda each: len(each.blocks)).blocks
        yield group.roots[blocks[:, 0]]
        yield group.roots[blocks[:, 1:].reshape(-1)]
    else:
        yield group.roots[:1]
        yield group.roots[1:]


def _probes(lengths: Sequence[Length], sizes: Sequence[Size], roots: Tensor) -> Iterator[_Probe]:
    counted: Counted = {}
    for size in sizes:
        counted.setdefault(size.integer, []).append(size)
    for integer, own in counted.items():
        if len(own) > 1:
            yield _Probe(partial(_counts_apart, integer, own), _real([each.ids for each in own]))
    for length in lengths:
        resolved = length._replace(ids=rooted(length.ids, roots))
        dimensions = {
            each: [rooted(label.ids, roots) for label in each.labels if each.axis in label.axes]
            for each in length.origins
            if isinstance(each, Dimension)
        }
        read = [ids for each in dimensions.values() for ids in each]
        read += [
            size.ids
            for each in length.origins
            if isinstance(each, Integer)
            for size in counted.get(each, [])
        ]
        unlike = partial(_length_apart, resolved, dimensions, counted)
        yield _Probe(unlike, _real([resolved.ids, *read]))


def _counts_apart(integer: Integer, sizes: Sequence[Size], gone: Tensor) -> str | None:
    if len({kept_along(each.ids, each.axis, gone) for each in sizes}) == 1:
        return None
    return f"`{integer.name}` of `{integer.module or 'the model'}` counts them and others, of which there would be more"


def _length_apart(
    length: Length, dimensions: dict[Dimension, list[Tensor]], counted: Counted, gone: Tensor
) -> str | None:
    def now(source: Integer | Dimension) -> int | None:
        if isinstance(source, Integer):
            found = [(each.ids, each.axis) for each in counted.get(source, [])]
        else:
            found = [(ids, source.axis) for ids in dimensions[source]]
        return kept_along(*found[0], gone) if found else None

    expected = length.size
    if length.ids.shape[length.axis] > 1:
        expected = kept_along(length.ids, length.axis, gone)
    try:
        return None if length.formula(now) == expected else length.reason
    except ArithmeticError:
        return length.reason


def _real(parts: Sequence[Tensor]) -> Tensor:
    flat = torch.cat([each.reshape(-1) for each in parts])
    return torch.unique(flat[flat != NONE])
