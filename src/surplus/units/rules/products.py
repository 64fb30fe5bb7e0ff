"""Products that are more than a product of two matrices."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from surplus.units.flow import Flow
from surplus.units.labels import Carried, Label, merged
from surplus.units.rules.contracting import FIXED, UNWEIGHTED, contract, product
from surplus.units.rules.elementwise import combined
from surplus.units.rules.indexing import CHOSEN, held

SYSTEM = "they are the rows of a system of equations"


def bilinear(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Multiply three tensors in the space of all their axes, and sum over some of these."""
    summed = args[6]
    known = [flow.of(each) for each in args[:3]]
    spread = [
        [Label(_unsqueezed(label.ids, axes), label.zero) for label in carried.labels]
        for carried, axes in zip(known, args[3:6], strict=True)
    ]
    survivors: list[Label] = []
    for place, (carried, own) in enumerate(zip(known, spread, strict=True)):
        others = [label for each in (*spread[:place], *spread[place + 1 :]) for label in each]
        for label in own:
            ends = [axis for axis in summed if axis in label.axes]
            if carried.weight:
                flow.atoms.mark(label.ids, "outgoing" if ends else "incoming", flow.order)
            left = _summed(flow, label, ends, others) if ends else label
            survivors += [] if left is None else [left]
    result = merged(survivors, flow.atoms, flow.because(FIXED), product=True)
    return [Carried(tuple(Label(_squeezed(each.ids, summed), each.zero) for each in result))]


def _summed(flow: Flow, label: Label, ends: Sequence[int], others: Sequence[Label]) -> Label | None:
    """End a label over whose axes a product is summed, with those that it meets there."""
    met = [other for other in others if set(other.axes) & set(ends)]
    for other in met:
        flow.atoms.unite(label.ids, other.ids, flow.because(FIXED))
    if not met or not any(each.zero for each in (label, *met)):
        return flow.freeze(label, ends, UNWEIGHTED if met else FIXED)
    return None if set(label.axes) == set(ends) else flow.freeze(label, ends, UNWEIGHTED)


def _unsqueezed(ids: Tensor, axes: Sequence[int]) -> Tensor:
    for axis in sorted(axes):
        ids = ids.unsqueeze(axis)
    return ids


def _squeezed(ids: Tensor, axes: Sequence[int]) -> Tensor:
    for axis in sorted(axes, reverse=True):
        ids = ids.squeeze(axis)
    return ids


def distances(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Take the distance of every row of one matrix from every row of another: a feature counts unless both are zero."""
    left, right = args[:2]
    if left.dim() != right.dim():
        for each in (left, right):
            flow.protect(flow.of(each), UNWEIGHTED)
        return [Carried()]
    for each in (left, right):
        last = each.dim() - 1
        ended = (flow.freeze(e, [] if e.zero else [last], UNWEIGHTED) for e in flow.of(each).labels)
        labels = tuple(label for label in ended if label is not None)
        flow.set(each, replace(flow.of(each), labels=labels))
    known = flow.of(right)
    turned = right.transpose(-1, -2)
    labels = tuple(Label(each.ids.transpose(-1, -2), each.zero) for each in known.labels)
    flow.set(turned, replace(known, labels=labels))
    carried = product(flow, left, turned)
    return [replace(carried, labels=tuple(Label(each.ids) for each in carried.labels))]


def by_blocks(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Multiply blocks of rows by a matrix each, as many as the data say: the experts of a mixture."""
    left, right = args[:2]
    if left.dim() != 2 or right.dim() != 3:
        for each in (left, right):
            flow.protect(flow.of(each), "they are multiplied in blocks that the data make")
        return [Carried()]
    first, second = flow.of(left), flow.of(right)
    kept = (flow.freeze(label, [0], CHOSEN) for label in second.labels)
    b = [label for label in kept if label is not None]
    a = [Label(label.ids[:, None, :, None], label.zero) for label in first.labels]
    b = [Label(label.ids[None], label.zero) for label in b]
    labels = contract(flow, first, second, a, b, axis=2)
    return [Carried(tuple(Label(each.ids[:, 0, 0, :], each.zero) for each in labels))]


def solved(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Solve systems of equations, which stay as large as they are: only several of them, or several columns, can go."""
    matrix, columns = args[:2]
    if matrix.dim() != columns.dim():
        for each in (matrix, columns):
            flow.protect(flow.of(each), SYSTEM)
        return [Carried() for _ in outputs]
    rows = columns.dim() - (2 if kwargs.get("left", True) else 1)
    held(flow, matrix, [matrix.dim() - 2, matrix.dim() - 1], SYSTEM)
    held(flow, columns, [rows], SYSTEM)
    systems = matrix.new_empty((*matrix.shape[:-2], 1, 1))
    flow.set(systems, flow.of(matrix))
    carried = combined(flow, torch.ops.aten.div.Tensor, (), [columns, systems], columns.shape)
    return [carried, *(Carried() for _ in outputs[1:])]


RULES = {"_trilinear": bilinear, "_cdist_forward": distances, "_grouped_mm": by_blocks}
RULES |= dict.fromkeys(("linalg_solve_triangular", "_linalg_solve_ex"), solved)
