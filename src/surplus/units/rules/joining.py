"""Operators that lay tensors side by side."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

from surplus.units.atoms import NONE
from surplus.units.flow import Flow
from surplus.units.labels import Carried, Label, compressed, merged, overlap

JOINED = "they are joined with a tensor of fixed size"


def cat(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Lay the labels side by side along the axis; across the pieces, unite those along every other axis."""
    pieces = [
        each for each in args[0] if each.shape != (0,)
    ]  # an empty list is what old code begins with
    axis = (args[1] if len(args) > 1 else kwargs.get("dim", 0)) % outputs[0].dim()
    return [_joined(flow, pieces, [flow.of(each).labels for each in pieces], axis)]


def stack(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Give each piece a new axis, and lay them side by side along it."""
    axis = (args[1] if len(args) > 1 else kwargs.get("dim", 0)) % outputs[0].dim()
    labels = [
        tuple(Label(label.ids.unsqueeze(axis), label.zero) for label in flow.of(each).labels)
        for each in args[0]
    ]
    return [_joined(flow, [each.unsqueeze(axis) for each in args[0]], labels, axis)]


def _joined(
    flow: Flow, pieces: Sequence[Tensor], labels: Sequence[Sequence[Label]], axis: int
) -> Carried:
    known = [flow.of(each) for each in pieces]
    across = [label for each in labels for label in each if axis not in label.axes]
    fixed = _fixed(pieces, labels, known, axis)
    along: list[list[Label]] = []
    for each in labels:
        along.append([])
        for label in each:
            held = flow.freeze(label, fixed, JOINED) if axis in label.axes else None
            if held is None:
                continue
            if any(overlap(held, other) for other in across):
                # Beside it, as many units have one value each: whole units go here, too.
                held = flow.freeze(held, [axis], JOINED)
                assert held is not None
                across.append(held)
            else:
                along[-1].append(held)
    united = merged(across, flow.atoms, flow.because(JOINED), product=False)
    kept = (flow.freeze(label, fixed, JOINED) for label in united)
    weight = all(carried.weight for carried in known)
    wild = all(carried.wild for carried in known)
    labels_of_both = (*(label for label in kept if label is not None), *_along(pieces, along, axis))
    return Carried(labels_of_both, weight=weight, wild=wild)


def _fixed(
    pieces: Sequence[Tensor],
    labels: Sequence[Sequence[Label]],
    known: Sequence[Carried],
    axis: int,
) -> list[int]:
    """Return the axes along which a piece has a length of its own and no unit."""
    fixed: set[int] = set()
    for each, own, carried in zip(pieces, labels, known, strict=True):
        if carried.wild:
            continue
        covered = {a for label in own for a in label.axes}
        fixed |= {a for a, size in enumerate(each.shape) if size > 1} - covered - {axis}
    return sorted(fixed)


def _along(
    pieces: Sequence[Tensor], labels: Sequence[Sequence[Label]], axis: int
) -> tuple[Label, ...]:
    """Join the labels that vary along the axis of joining; a piece without one has no units there."""
    layers = zip_longest(*labels)
    return tuple(_layer(pieces, layer, axis) for layer in layers)


def _layer(pieces: Sequence[Tensor], own: Sequence[Label | None], axis: int) -> Label:
    """Lay one label of each piece side by side."""
    dim = pieces[0].dim()
    widest = [max(label.ids.shape[a] if label else 1 for label in own) for a in range(dim)]
    parts = []
    for piece, label in zip(pieces, own, strict=True):
        shape = list(widest)
        shape[axis] = piece.shape[axis]
        parts.append(
            label.ids.expand(shape) if label else torch.full(shape, NONE, dtype=torch.int64)
        )
    zero = all(label.zero for label in own if label)
    return Label(compressed(torch.cat(parts, axis)), zero)


RULES = {"cat": cat, "concat": cat, "stack": stack, "_unsafe_cat": cat}
