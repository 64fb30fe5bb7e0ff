"""Operators that pick elements by number."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from surplus.units.flow import Flow
from surplus.units.labels import Carried, Label, viewed

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
    indexed = [axis for axis, each in enumerate(numbers) if each is not None]
    return [_picked(flow, source, indexed, lambda ids: operator(ids, numbers))]


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
    """Pick along one axis, apart for each position of the others, which must then stay as they are."""
    source, _, numbers = args[:3]
    carried = flow.of(source)
    axes = [
        axis for axis in range(source.dim()) if numbers.shape[axis] > 1 or source.shape[axis] > 1
    ]
    for label in carried.labels:
        flow.freeze(label, axes, CHOSEN)
    return [Carried() for _ in outputs]


RULES = {
    "embedding": embedding,
    "_embedding_bag": embedding,
    "_embedding_bag_forward_only": embedding,
    "embedding_bag": embedding,
    "index": index,
    "_unsafe_index": index,
    "index_select": index_select,
    "gather": gather,
}
