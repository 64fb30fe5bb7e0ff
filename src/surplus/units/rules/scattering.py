"""Operators that put elements at numbered places of a tensor."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from surplus.units.flow import Flow
from surplus.units.labels import Carried
from surplus.units.rules.elementwise import combined
from surplus.units.rules.indexing import CHOSEN, NUMBERED, beside, held, indexed_axes

SUM = torch.ops.aten.add.Tensor


def slices(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Put slices at numbered positions of one axis: what lies along it stays, and all other axes meet."""
    target = args[0]
    axis = args[1] % max(target.dim(), 1)
    given = _given(args)
    carried = _put(flow, given, [axis], target, NUMBERED)
    return [carried if len(given) > 1 else _filled(carried)]


def elements(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Put elements at numbered positions of one axis, apart for each position of the others."""
    target, numbers = args[0], args[2]
    given = _given(args)
    axes = {args[1] % max(target.dim(), 1)}
    for each in (*given, numbers):
        axes |= {axis for axis, size in enumerate(each.shape) if size != target.shape[axis]}
    carried = beside(
        flow, _put(flow, given, sorted(axes), target, CHOSEN), target, numbers, sorted(axes)
    )
    return [carried if len(given) > 1 else _filled(carried)]


def values(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Put values at tensors of numbers, as `x[rows] = values` does; the axes behind the numbers meet."""
    target, numbers, source = args[:3]
    axes = indexed_axes(numbers)
    if axes != list(range(len(axes))):  # axes that are not indexed stand in between
        axes = list(range(target.dim()))
    before = max(0, source.dim() - target.dim() + len(axes))
    carried = held(flow, source, range(before), NUMBERED)
    rows = source.new_empty(source.shape[before:])
    labels = (
        replace(each, ids=each.ids.reshape(each.ids.shape[before:])) for each in carried.labels
    )
    flow.set(rows, replace(carried, labels=tuple(labels)))
    held(flow, target, axes, NUMBERED)
    return [combined(flow, SUM, (), [target, rows], target.shape)]


def masked(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Fill the places of a mask one after the other: the last axis meets where the mask takes whole rows of it."""
    target, mask, source = args[:3]
    rowwise = mask.dim() > 0 and (mask.shape[-1] == 1 or mask.stride(-1) == 0)
    if not rowwise or source.shape[-1:] != target.shape[-1:]:
        for each in (target, mask, source):
            flow.protect(flow.of(each), CHOSEN)
        return [Carried()]
    rows = source.new_empty(source.shape[-1:])
    carried = held(flow, source, range(source.dim() - 1), CHOSEN)
    labels = (replace(each, ids=each.ids.reshape(-1)) for each in carried.labels)
    flow.set(rows, replace(carried, labels=tuple(labels)))
    held(flow, target, range(target.dim() - 1), CHOSEN)
    both = combined(flow, SUM, (), [target, rows], target.shape)
    return [beside(flow, both, target, mask, range(mask.dim() - 1))]


def _given(args: Sequence[Any]) -> list[Tensor]:
    """Return the target, and what is put into it unless that is one number."""
    return [args[0], *(each for each in args[3:4] if isinstance(each, Tensor) and each.dim())]


def _put(
    flow: Flow, given: Sequence[Tensor], axes: Sequence[int], target: Tensor, why: str
) -> Carried:
    """Unite what tensors carry, after freezing axes of each."""
    for each in given:
        held(flow, each, axes, why)
    return combined(flow, SUM, (), given, target.shape)


def _filled(carried: Carried) -> Carried:
    """Return what a tensor carries after some elements became one number, so that they are not zero any more."""
    labels = tuple(replace(label, zero=False) for label in carried.labels)
    return replace(carried, labels=labels)


RULES = (
    dict.fromkeys(("index_add", "index_copy", "index_fill", "index_reduce"), slices)
    | dict.fromkeys(("scatter", "scatter_add", "scatter_reduce"), elements)
    | dict.fromkeys(("index_put", "_index_put_impl", "_unsafe_index_put"), values)
    | {"masked_scatter": masked}
)
