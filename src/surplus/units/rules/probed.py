"""Probing: an operator without a rule is tried out, by changing the units of its inputs one at a time.

If every unit moves outputs of its own, along one axis, and the operator gives the same without some of the units, then
it works on each unit for itself, and units pass through it. What an operator does otherwise is not found out this way.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from surplus.units.atoms import NONE
from surplus.units.flow import Flow
from surplus.units.labels import Carried, laid

LIMIT = 1024
"""How many units are tried out, at most."""
MET = "they meet in an operator that works on each unit for itself"


class _Input(NamedTuple):
    """One input with units along one axis, and which outputs each of them moves."""

    tensor: Tensor
    axis: int
    ids: Int[Tensor, " units"]
    zero: bool
    moved: Bool[Tensor, "units positions"]
    """Along the axis of the output."""


def probe(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> Carried | None:
    """Return what the output of an operator carries, or None where it cannot be told by trying."""
    if len(outputs) != 1 or operator._schema.is_mutable or not outputs[0].is_floating_point():
        return None
    try:
        found = _inputs(flow, operator, args, kwargs, outputs[0])
        if found is None:
            return None
        inputs, axis = found
        result = _passed(flow, inputs)
        if result is None or not all(
            _goes_without(operator, args, kwargs, outputs[0], inputs, axis, removed)
            for removed in _removals(inputs)
        ):
            return None
    except (RuntimeError, ValueError, TypeError, IndexError):  # it takes no other inputs than these
        return None
    for ids in result[1:]:
        flow.unite(result[0], ids, MET)
    zero = all(each.zero for each in inputs) and _keeps_zero(operator, args, kwargs, inputs, axis)
    weight = all(flow.of(each.tensor).weight for each in inputs)
    return Carried((laid(result[0], axis, outputs[0].dim(), zero),), weight=weight)


def _inputs(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], output: Tensor
) -> tuple[list[_Input], int] | None:
    """Try out every unit of every input; return the inputs with the axis of the output along which these move it."""
    inputs, axes = [], set()
    for tensor in _tensors((args, kwargs)):
        for label in flow.of(tensor).labels:
            if len(label.axes) != 1 or label.ids.numel() > LIMIT or not tensor.is_floating_point():
                return None
            moved = _moved(operator, args, kwargs, output, tensor, label.axes[0])
            axis = _axis(moved)
            if axis is None:
                return None
            axes.add(axis)
            ids = label.ids.reshape(-1)
            inputs.append(_Input(tensor, label.axes[0], ids, label.zero, moved[axis]))
    return (inputs, axes.pop()) if len(axes) == 1 else None


def _tensors(arguments: Any) -> Iterator[Tensor]:
    seen: set[int] = set()
    for each in tree_leaves(arguments):
        if isinstance(each, Tensor) and id(each) not in seen:
            seen.add(id(each))
            yield each


def _moved(
    operator: Any,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    output: Tensor,
    tensor: Tensor,
    axis: int,
) -> list[Bool[Tensor, "units _"]]:
    """Return for every axis of the output which positions along it each unit of one input moves, up or down."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor)
    size = 1 + float(tensor.abs().mean())
    found = []
    for unit in range(tensor.shape[axis]):
        moved = torch.zeros(output.shape, dtype=torch.bool, device=output.device)
        for step in (size, -size, 10 * size):
            other = tensor.clone()
            other.select(axis, unit).add_(noise.select(axis, unit).abs() + 0.5, alpha=step)
            moved |= _run(operator, args, kwargs, {id(tensor): other}) != output
        found.append([_along(moved, each).cpu() for each in range(moved.dim())])
    return [torch.stack(each) for each in zip(*found, strict=True)]


def _along(moved: Bool[Tensor, "..."], axis: int) -> Bool[Tensor, " positions"]:
    """Return at which positions along an axis anything moves."""
    return moved.movedim(axis, 0).flatten(1).any(1) if moved.dim() > 1 else moved


def _run(
    operator: Any, args: Sequence[Any], kwargs: dict[str, Any], instead: dict[int, Tensor]
) -> Tensor:
    """Run an operator with other tensors in the place of some."""
    args, kwargs = tree_map(lambda each: instead.get(id(each), each), (tuple(args), kwargs))
    result: Tensor = operator(*args, **kwargs)
    return result


def _axis(moved: list[Bool[Tensor, "units _"]]) -> int | None:
    """Return the axis of the output along which different units move different positions, if there is only one."""
    fitting = [
        axis
        for axis, along in enumerate(moved)
        if along.shape[1] > 1 and bool((along.sum(0) == 1).all())
    ]
    return fitting[0] if len(fitting) == 1 else None


def _passed(flow: Flow, inputs: list[_Input]) -> list[Int[Tensor, " positions"]] | None:
    """Return for each input the unit that every position of the output comes from."""
    result = []
    for each in inputs:
        ids = each.ids[each.moved.int().argmax(0)]
        if bool((ids == NONE).any()):
            return None
        result.append(ids)
    return result


def _removals(inputs: list[_Input]) -> Iterator[Bool[Tensor, " positions"]]:
    """Yield positions of the output to do without: some units of the first input, and what they move.

    Every other unit, the first, the last and some at random: an operator that shuffles its units may be none the wiser
    for any one pattern.
    """
    moved = inputs[0].moved
    every = torch.arange(len(moved))
    generator = torch.Generator().manual_seed(0)
    yield moved[every % 2 == 0].any(0)
    if len(moved) > 2:
        yield moved[:1].any(0)
        yield moved[-1:].any(0)
        yield moved[torch.randperm(len(moved), generator=generator)[: len(moved) // 2]].any(0)


def _goes_without(
    operator: Any,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    output: Tensor,
    inputs: list[_Input],
    axis: int,
    removed: Bool[Tensor, " positions"],
) -> bool:
    """Say whether the operator gives on fewer units what it gives for these among all."""
    instead = {}
    for each in inputs:
        touched = (each.moved & removed).any(1)
        if bool((each.moved[touched].any(0) != removed).any()):
            return False  # some unit moves what stays and what goes
        kept = (~touched).nonzero()[:, 0].to(each.tensor.device)
        instead[id(each.tensor)] = each.tensor.index_select(each.axis, kept)
    fewer = _run(operator, args, kwargs, instead)
    left = output.index_select(axis, (~removed).nonzero()[:, 0].to(output.device))
    return fewer.shape == left.shape and bool(torch.allclose(fewer, left, rtol=1e-6, atol=1e-9))


def _keeps_zero(
    operator: Any, args: Sequence[Any], kwargs: dict[str, Any], inputs: list[_Input], axis: int
) -> bool:
    """Say whether the operator makes zeros of units that are zero."""
    removed = next(_removals(inputs))
    instead = {}
    for each in inputs:
        gone = (each.moved & removed).any(1).nonzero()[:, 0].to(each.tensor.device)
        instead[id(each.tensor)] = each.tensor.index_fill(each.axis, gone, 0.0)
    result = _run(operator, args, kwargs, instead)
    return not bool(result.index_select(axis, removed.nonzero()[:, 0].to(result.device)).any())
