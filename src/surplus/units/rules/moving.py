"""Operators that only move elements: they are run on the labels."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

from torch import Tensor

from surplus.units.atoms import Box
from surplus.units.flow import Flow
from surplus.units.labels import Carried, Label, refolded, viewed

FOLDING = {
    "view",
    "_unsafe_view",
    "reshape",
    "unfold",
    "channel_shuffle",
}
FOLDS = {"aten::view", "aten::_unsafe_view", "aten::reshape", "aten::_reshape_alias"}
DIVIDING = {
    "split",
    "split_with_sizes",
    "unsafe_split",
    "unsafe_split_with_sizes",
    "slice",
    "select",
    "unbind",
    "chunk",
}

TRIANGLE = "a triangle is taken of them"


def move(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Run the operator on the labels, and note where it takes apart what units vary along."""
    source, rest = args[0], args[1:]
    carried = flow.of(source)
    results: list[list[Label]] = [[] for _ in outputs]
    name = operator._schema.name.removeprefix("aten::")
    for label in carried.labels:
        if operator._schema.name in FOLDS:
            moved = [refolded(label, source.shape, outputs[0].shape)]
        else:
            moved = viewed(label, source.shape, partial(_run, operator, rest, kwargs))
        if name in DIVIDING and not flow.divides_freely:
            _divided(flow, label, source, rest, name)
        for place, each in enumerate(moved):
            if each is None:
                if name in DIVIDING and flow.divides_freely:
                    _protect_single(flow, label, source, rest, name)
                continue
            if name in FOLDING and len(each.axes) > 1:
                flow.atoms.boxes.append(
                    Box(each.ids, flow.because("an axis is folded into several"))
                )
            results[place].append(each)
    # A slice without elements has no labels; its axes are as long as those of what it was taken from.
    empty = [bool(carried.labels) and not each.numel() for each in outputs]
    return [
        Carried(tuple(labels), carried.weight, carried.wild or none)
        for labels, none in zip(results, empty, strict=True)
    ]


def shuffle(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Move pixels into channels or back: the factor is fixed, so that positions of a map stay."""
    maps = [outputs[0].dim() - 2, outputs[0].dim() - 1]
    why = "their number has to be a multiple of the factor of a pixel shuffle"
    held = (flow.freeze(label, maps, why) for label in flow.of(args[0]).labels)
    flow.set(args[0], replace(flow.of(args[0]), labels=tuple(each for each in held if each)))
    (carried,) = move(flow, operator, args, kwargs, outputs)
    held = (flow.freeze(label, maps, why) for label in carried.labels)
    return [replace(carried, labels=tuple(each for each in held if each))]


def shifted(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Roll positions round, or take windows of them: how far and how wide is fixed."""
    source = args[0]
    given = args[2] if operator._schema.name == "aten::roll" and len(args) > 2 else args[1]
    if operator._schema.name == "aten::roll" and len(args) < 3:
        given = range(source.dim())
    axes = [each % source.dim() for each in ([given] if isinstance(given, int) else given)]
    why = "they are shifted, or taken in windows"
    held = (flow.freeze(label, axes, why) for label in flow.of(source).labels)
    flow.set(source, replace(flow.of(source), labels=tuple(each for each in held if each)))
    return move(flow, operator, args, kwargs, outputs)


def triangle(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Set one side of a diagonal to zero: rows and columns of a square go together, others stay."""
    source = args[0]
    axes = (source.dim() - 2, source.dim() - 1)
    carried = flow.of(source)
    along = [[label for label in carried.labels if axis in label.axes] for axis in axes]
    square = source.shape[axes[0]] == source.shape[axes[1]]
    if square and all(len(each) == 1 and len(each[0].axes) == 1 for each in along):
        rows, columns = (each[0].ids.reshape(-1) for each in along)
        flow.atoms.unite(rows, columns, flow.because(TRIANGLE))
        return [carried]
    for label in {id(label): label for each in along for label in each}.values():
        flow.atoms.protect(label.ids, flow.because(TRIANGLE))
    return [carried]


def _run(operator: Any, rest: Sequence[Any], kwargs: dict[str, Any], ids: Tensor) -> Any:
    return operator(ids, *rest, **kwargs)


def restride(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Give the same shape another layout in memory; anything else that strides can do is not followed."""
    carried = flow.of(args[0])
    size = outputs[0].shape
    if all(
        label.ids.dim() == len(size)
        and all(own in (1, given) for own, given in zip(label.ids.shape, size, strict=True))
        for label in carried.labels
    ):
        return [carried]
    flow.protect(carried, "their memory is looked at in another shape")
    return [Carried()]


def _divided(flow: Flow, label: Label, source: Tensor, rest: Sequence[Any], name: str) -> None:
    """Note the pieces of an axis along which units vary."""
    axis, cuts = _cuts(source, rest, name)
    if label.ids.shape[axis] == 1 or not cuts:
        return
    ids = label.ids.movedim(axis, 0)
    step = _whole_steps(source.shape[axis], rest) if name == "slice" else 1
    if step > 1:
        rows = ids.reshape(-1, step, *ids.shape[1:])
        flow.atoms.unite(rows, rows[:, :1], flow.because("every so many of them are taken"))
        return
    bounds = [0, *cuts, source.shape[axis]]
    pieces = [ids[a:b].reshape(-1) for a, b in pairwise(bounds) if b > a]
    if len(pieces) > 1:
        flow.atoms.even(tuple(pieces), flow.because("they are taken apart at a fixed place"))


def _whole_steps(size: int, rest: Sequence[Any]) -> int:
    """Return the step of a slice that takes the same position of every so many, as of pairs, or 1."""
    _, begin, stop, step = (list(rest) + [0, None, None, 1][len(rest) :])[:4]
    start, end, _ = slice(begin, stop).indices(size)
    whole = size % step == 0 and start < step and end > size - step + start
    return int(step) if whole else 1


def _protect_single(
    flow: Flow, label: Label, source: Tensor, rest: Sequence[Any], name: str
) -> None:
    """Protect pieces of one position, which has to stay so that there is a piece."""
    axis, cuts = _cuts(source, rest, name)
    if label.ids.shape[axis] == 1:
        return
    for a, b in pairwise([0, *cuts, source.shape[axis]]):
        if b - a == 1:
            why = flow.because("a piece that is taken has no other position")
            flow.atoms.protect(label.ids.narrow(axis, a, 1), why)


def _cuts(source: Tensor, rest: Sequence[Any], name: str) -> tuple[int, list[int]]:
    """Return the axis that is taken apart and the positions at which it is."""
    if name in ("select", "unbind"):
        axis = int(rest[0] if rest else 0) % source.dim()
        return axis, list(range(1, source.shape[axis]))
    if name == "slice":
        given, begin, stop, step = (list(rest) + [0, None, None, 1][len(rest) :])[:4]
        axis = int(given) % source.dim()
        size = source.shape[axis]
        start, end, _ = slice(begin, stop).indices(size)
        cuts = list(range(1, size)) if step != 1 else [start, end]
        return axis, [each for each in cuts if 0 < each < size]
    axis = int(rest[1] if len(rest) > 1 else 0) % source.dim()
    size = source.shape[axis]
    if isinstance(rest[0], int):
        return axis, list(range(rest[0], size, rest[0]))
    bounds, total = [], 0
    for each in rest[0][:-1]:
        total += each
        bounds.append(total)
    return axis, bounds


MOVING = (
    "view", "_unsafe_view", "_reshape_alias", "reshape", "permute", "transpose", "t", "movedim", "expand", "squeeze",
    "unsqueeze", "select", "slice", "narrow", "split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes",
    "chunk", "unbind", "alias", "detach", "clone", "contiguous", "lift", "flip", "rot90", "repeat",
    "repeat_interleave", "channel_shuffle", "diagonal",
)  # fmt: skip
RULES = dict.fromkeys(MOVING, move) | {
    "as_strided": restride,
    "pixel_shuffle": shuffle,
    "pixel_unshuffle": shuffle,
    "roll": shifted,
    "tril": triangle,
    "triu": triangle,
    "unfold": shifted,
}
