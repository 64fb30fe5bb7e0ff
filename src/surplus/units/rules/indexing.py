"""Operators that pick elements by number."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from surplus.units.flow import Flow
from surplus.units.labels import Carried, Label, viewed
from surplus.units.rules.elementwise import combined

CHOSEN = "the data choose among them"


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
    return [_picked(flow, source, indexed_axes(numbers), lambda ids: operator(ids, numbers))]


def index_select(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Pick positions along one axis."""
    source, axis, numbers = args
    return [_picked(flow, source, [axis % source.dim()], lambda ids: operator(ids, axis, numbers))]


def _picked(flow: Flow, source: Tensor, axes: list[int], pick: Any) -> Carried:
    carried = flow.of(source)
    kept = [flow.freeze(label, axes, CHOSEN) for label in carried.labels]
    moved = [viewed(label, source.shape, pick)[0] for label in kept if label is not None]
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
