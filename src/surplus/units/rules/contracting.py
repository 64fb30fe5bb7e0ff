"""Contractions: products summed over an axis. They end the units of that axis and begin those of a weight's other."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from surplus.units.flow import Flow
from surplus.units.labels import Carried, Label
from surplus.units.rules.elementwise import combined

FIXED = "they read inputs of fixed size"
FOLDED = "they are folded into an axis that a vector is multiplied with"
UNWEIGHTED = "they are multiplied and summed without a weight"


def contract(
    flow: Flow, left: Carried, right: Carried, a: Sequence[Label], b: Sequence[Label], axis: int
) -> tuple[Label, ...]:
    """Return the labels of a product summed over one axis.

    Args:
        flow: What is known.
        left: What the first factor carries.
        right: What the second factor carries.
        a: The labels of the first factor in the space of all axes: batch, rows, summed, columns.
        b: Those of the second.
        axis: The axis that is summed, in that space.
    """
    ends_a, ends_b = ([label for label in each if axis in label.axes] for each in (a, b))
    for carried, ends, others, labels in ((left, ends_a, ends_b, a), (right, ends_b, ends_a, b)):
        for label in ends:
            if carried.weight:
                flow.atoms.mark(label.ids, "outgoing", flow.order)
            for other in others:
                flow.unite(label.ids, other.ids, FIXED)
        if carried.weight:
            for label in labels:
                if axis not in label.axes:
                    flow.atoms.mark(label.ids, "incoming", flow.order)
    if not left.weight and not right.weight:
        _note_heads(flow, a, b, axis)
    survivors = []
    for ends, others, theirs, labels in ((ends_a, ends_b, right, a), (ends_b, ends_a, left, b)):
        survivors += [label for label in labels if axis not in label.axes]
        for label in ends:
            fixed = not others and not theirs.wild
            silent = label.zero or any(other.zero for other in others)
            if fixed:
                left_over = flow.freeze(label, [axis], FIXED)
            elif silent or len(label.axes) > 1:
                if label.axes == (axis,) and not (left.weight or right.weight):
                    flow.meet(label, "a product with one another")
                left_over = _collapsed(flow, label, axis)
            else:
                left_over = flow.freeze(label, [axis], UNWEIGHTED)
            if left_over is not None:
                survivors.append(left_over)
    return flow.merge(survivors, FIXED, product=True)


def _note_heads(flow: Flow, a: Sequence[Label], b: Sequence[Label], axis: int) -> None:
    """Note units of which each multiplies its own part of one activation with its own part of another."""
    flow.heads += [
        label.ids for label in a if any(set(label.axes) & set(other.axes) - {axis} for other in b)
    ]


def _collapsed(flow: Flow, label: Label, axis: int) -> Label | None:
    """End a label, or, where it varies along other axes too, tie the summed positions of each unit there."""
    if label.axes == (axis,):
        return None
    flow.heads.append(label.ids)
    return flow.freeze(label, [axis], UNWEIGHTED)


def matmul(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Multiply matrices, or batches of them."""
    return [product(flow, args[0], args[1])]


def product(flow: Flow, left: Tensor, right: Tensor) -> Carried:
    """Return what the product of two (batches of) matrices or a matrix and a vector carries."""
    vector = right.dim() == 1
    first, second = flow.of(left), flow.of(right)
    batch = left.dim() - 2
    a = [Label(label.ids.unsqueeze(-1), label.zero) for label in first.labels]
    if left.dim() == 1:
        batch = 0
        a = [Label(label.ids.reshape(1, -1, 1), label.zero) for label in first.labels]
    b = [
        Label(label.ids.reshape(1, -1, 1) if vector else label.ids.unsqueeze(batch), label.zero)
        for label in second.labels
    ]
    axis = batch + 1
    for own, other, theirs in ((a, right, second), (b, left, first)):
        if theirs.wild:
            continue
        covered = {each for label in (b if own is a else a) for each in label.axes}
        fixed = [each for each in range(batch) if other.shape[each] > 1 and each not in covered]
        frozen = (flow.freeze(label, fixed, FIXED) for label in own)
        own[:] = [label for label in frozen if label is not None]
    _singles(flow, left, right)
    labels = []
    for label in contract(flow, first, second, a, b, axis):
        ids = label.ids.squeeze(axis)
        if vector:
            ids = ids.squeeze(-1)
        if left.dim() == 1:
            ids = ids.squeeze(0)
        labels.append(Label(ids, label.zero))
    return Carried(tuple(labels), weight=first.weight and second.weight)


def vector(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Multiply a matrix and a vector; of a weight that is folded for that, as in a spectral norm, the kernel stays."""
    matrix, other = flow.of(args[0]), flow.of(args[1])
    folded = [label for label in matrix.labels if 1 in label.axes]
    if matrix.weight and other.weight and len(folded) > 1:
        for label in folded[1:]:
            flow.atoms.protect(label.ids, flow.because(FOLDED))
        left = tuple(label for label in matrix.labels if label not in folded[1:])
        flow.set(args[0], replace(matrix, labels=left))
    return [product(flow, args[0], args[1])]


def inner(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Multiply two vectors into a number; between weights, as in a spectral norm, that reads no units."""
    first, second = flow.of(args[0]), flow.of(args[1])
    labels = (*first.labels, *second.labels)
    both = first.labels and second.labels and first.weight and second.weight
    if not both or not any(label.zero for label in labels):
        return [product(flow, args[0], args[1])]
    flow.merge(labels, FIXED, product=True)
    return [Carried(weight=True)]


def _singles(flow: Flow, left: Tensor, right: Tensor) -> None:
    """Note a weight that computes one unit: it has no axis to cut."""
    first, second = flow.of(left), flow.of(right)
    if second.weight and not first.weight and right.dim() == 2 and right.shape[1] == 1:
        flow.single(second)
    if first.weight and not second.weight and left.dim() == 2 and left.shape[0] == 1:
        flow.single(first)


def added(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Multiply matrices and add a bias."""
    bias, left, right = args[:3]
    flow.set(outputs[0], product(flow, left, right))
    return [combined(flow, torch.ops.aten.add.Tensor, (), [outputs[0], bias], outputs[0].shape)]


RULES = {
    "mm": matmul,
    "bmm": matmul,
    "mv": vector,
    "dot": inner,
    "vdot": inner,
    "matmul": matmul,
    "addmm": added,
    "addmv": added,
    "baddbmm": added,
    "_sparse_addmm": added,
}
