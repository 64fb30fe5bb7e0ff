"""Operators that pick elements by number."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from surplus.units.flow import Flow
from surplus.units.labels import Carried, Label, viewed
from surplus.units.numbers import Numbers
from surplus.units.rules.elementwise import combined

CHOSEN = "the data choose among them"
NUMBERED = "they are picked by numbers, which would not follow"


def embedding(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Look rows up: the features of a row are units, the rows are not."""
    weight = args[0]
    carried, labels = flow.of(weight), []
    for label in carried.labels:
        flow.embeddings.add(flow.name_of(label))
        left = flow.freeze(label, [0], CHOSEN)
        if left is not None:
            ids = left.ids.reshape((1,) * (outputs[0].dim() - 1) + (-1,))
            flow.atoms.mark(ids, "incoming", flow.order)
            labels.append(Label(ids, left.zero))
    return [Carried(tuple(labels)), *(Carried() for _ in outputs[1:])]


def index(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Pick elements with tensors of numbers: run on the labels, and freeze the axes that are indexed."""
    source, numbers = args[0], args[1]
    given = [each for each in numbers if each is not None]
    own = _own(flow, given[0]) if len(given) == 1 else None
    return [_picked(flow, source, indexed_axes(numbers), lambda ids: operator(ids, numbers), own)]


def index_select(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Pick positions along one axis."""
    source, axis, numbers = args
    axes = [axis % max(source.dim(), 1)]
    pick = partial(operator, dim=axis, index=numbers)
    return [_picked(flow, source, axes, pick, _own(flow, numbers))]


def _own(flow: Flow, numbers: Tensor) -> str | None:
    """Return the name of numbers that are a vector of the model's own as it is, such as a permutation, or None."""
    ids = flow.along(numbers, 0) if numbers.dim() == 1 else None
    if ids is None or numbers.dtype not in (torch.int64, torch.int32) or bool((numbers < 0).any()):
        return None
    name = flow.atoms.owner(int(ids[0])).tensor
    return name if torch.equal(flow.tensors[name], numbers) else None


def _picked(flow: Flow, source: Tensor, axes: list[int], pick: Any, own: str | None) -> Carried:
    carried, moved = flow.of(source), []
    for label in carried.labels:
        if own is not None and label.axes == tuple(axes):
            # The place of a unit among the numbers goes with it, and those that are left are numbered anew.
            ids, values = label.ids.reshape(-1), flow.tensors[own].detach().cpu().long()
            flow.numbers.append(Numbers(own, values, ids))
            places = flow.along(flow.tensors[own], 0)
            assert places is not None
            flow.atoms.unite(ids[values], places, flow.because(NUMBERED))
            kept: Label | None = label
        else:
            kept = flow.freeze(label, axes, NUMBERED)
        if kept is not None:
            moved.append(viewed(kept, source.shape, pick)[0])
    return Carried(tuple(label for label in moved if label is not None), carried.weight)


def gather(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Pick along one axis, apart for each position of the others, which meet those of the numbers."""
    source, _, numbers = args[:3]
    axes = {args[1] % max(source.dim(), 1)}
    axes |= {axis for axis, size in enumerate(numbers.shape) if size != source.shape[axis]}
    carried = held(flow, source, sorted(axes), CHOSEN)
    return [beside(flow, carried, outputs[0], numbers, sorted(axes))]


def packed(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Lay the steps of sequences of several lengths one behind the other."""
    carried = held(flow, args[0], [0, 1], "they are the steps of sequences")
    labels = tuple(Label(each.ids.squeeze(0), each.zero) for each in carried.labels)
    return [Carried(labels, carried.weight), *(Carried() for _ in outputs[1:])]


def indexed_axes(numbers: Sequence[Tensor | None]) -> list[int]:
    """Return which axes tensors of numbers stand for; a mask stands for as many as it has."""
    axes: list[int] = []
    first = 0
    for each in numbers:
        masks = each is not None and each.dtype in (torch.bool, torch.uint8)
        width = each.dim() if each is not None and masks else 1
        axes += [] if each is None else range(first, first + width)
        first += width
    return axes


def held(flow: Flow, tensor: Tensor, axes: Iterable[int], why: str) -> Carried:
    """Freeze axes of a tensor, now and for whatever reads it later; return what it carries then."""
    chosen = list(axes)
    left = [flow.freeze(label, chosen, why) for label in flow.of(tensor).labels]
    labels = tuple(label for label in left if label is not None)
    flow.set(tensor, replace(flow.of(tensor), labels=labels))
    return flow.of(tensor)


def beside(
    flow: Flow, carried: Carried, like: Tensor, numbers: Tensor, axes: Iterable[int]
) -> Carried:
    """Return what elements carry that were picked, or put, by numbers of their shape, which are frozen along axes."""
    kept = held(flow, numbers, axes, CHOSEN)
    places, picked = like.new_empty(numbers.shape), like.new_empty(like.shape)
    flow.set(places, replace(kept, labels=tuple(Label(each.ids) for each in kept.labels)))
    flow.set(picked, carried)
    return combined(flow, torch.ops.aten.mul.Tensor, (), [picked, places], like.shape)


RULES = {
    "embedding": embedding,
    "_embedding_bag": embedding,
    "_embedding_bag_forward_only": embedding,
    "embedding_bag": embedding,
    "index": index,
    "_unsafe_index": index,
    "index_select": index_select,
    "gather": gather,
    "_pack_padded_sequence": packed,
}
