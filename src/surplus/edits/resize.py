"""Resizing the tensors of a model, to fewer positions or to more: the one place where shapes change."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.intervals import num_positions, unpack
from surplus.edits.records import Count, Renumbered, Resize, Slice
from surplus.edits.sizes import correct_sizes
from surplus.units import (
    copied,
    evaluating,
    own_tensors,
    recompute_,
    renumbered,
    tensors_of,
)


def check(model: nn.Module, step: Resize) -> None:
    """Refuse a step that does not fit the model, before anything is changed.

    Raises:
        InvalidArgument: the model lacks a tensor or an integer of the step, or has it of another size.
    """
    tensors = tensors_of(model)
    missing = [name for name in step.tensors if name not in tensors]
    if missing:
        raise InvalidArgument(f"The edits speak of `{missing[0]}`, which this model does not have.")
    axes = [(each.tensor, each.axis) for each in step.slices]
    for each in step.slices:
        check_axis(tensors[each.tensor], each, step.grows)
        if axes.count((each.tensor, each.axis)) > 1:
            raise InvalidArgument(
                f"The edits speak twice of axis {each.axis} of `{each.tensor}`; no record of Surplus does."
            )
    for number in step.numbers:
        _check_numbers(tensors[number.tensor], number, step.grows)
    for count in step.integers:
        _check_count(model, count)


def check_axis(tensor: Tensor, each: Slice, grows: bool) -> None:
    """Refuse a tensor that does not have the shape from which a slice leads.

    Raises:
        InvalidArgument: that is so.
    """
    shape = tuple(tensor.shape)
    size = num_positions(each.kept) if grows else each.size
    if not 0 <= each.axis < len(shape) or shape[each.axis] != size:
        raise InvalidArgument(
            f"The edits expect `{each.tensor}` with {size} entries along axis {each.axis};"
            f" here its shape is {shape}. They were made on another architecture."
        )


def _check_numbers(tensor: Tensor, number: Renumbered, grows: bool) -> None:
    limit = num_positions(number.kept) if grows else number.size
    whole = not (tensor.is_floating_point() or tensor.is_complex())
    if not whole or (tensor.numel() and not 0 <= int(tensor.min()) <= int(tensor.max()) < limit):
        raise InvalidArgument(
            f"The edits expect positions of an axis of {limit} in `{number.tensor}`, and it holds something else. They"
            " were made on another architecture."
        )


def _check_count(model: nn.Module, count: Count) -> None:
    module = dict(model.named_modules(remove_duplicate=False)).get(count.module)
    settings, _, name = count.name.rpartition(".")
    value: Any = getattr(getattr(module, settings, None) if settings else module, name, None)
    if count.place is not None:
        listed = isinstance(value, tuple | list) and 0 <= count.place < len(value)
        value = value[count.place] if listed else None
    if type(value) is not int or value != count.before:
        raise InvalidArgument(
            f"The edits expect {count.before} as `{count.name}` of `{count.module or 'the model'}`; here it is"
            f" {value if type(value) is int else f'no integer, but a {type(value).__name__}'}."
            " They were made on another architecture."
        )


def resize_(model: nn.Module, step: Resize, values: Mapping[str, Tensor] | None = None) -> None:
    """In place: repeat a step on a model that it fits; every parameter stays the object that it was.

    Args:
        model: The model.
        step: The step.
        values: What tensors hold afterwards; without it they keep what they held, and are zero where they are new.
    """
    tensors = tensors_of(model)
    new = {name: after(step, name, tensors[name].data) for name in step.tensors}
    new |= {name: each.detach() for name, each in (values or {}).items()}
    changed = {id(tensors[name]) for name in new}
    for name, each in new.items():
        swap_(tensors[name], each)
    correct_(model, changed, step)


def resized_copy(
    model: nn.Module, step: Resize, values: Mapping[str, Tensor] | None = None
) -> nn.Module:
    """Return a copy of a model after a step, with arguments as for `resize_`; what goes is not even copied."""
    tensors = tensors_of(model)
    replaced: dict[int, Tensor] = {}
    for name in (*step.tensors, *(values or {})):
        old = tensors[name]
        if id(old) in replaced:
            continue
        new = (
            values[name].detach() if values and name in values else after(step, name, old.detach())
        )
        if isinstance(old, nn.Parameter):
            new = nn.Parameter(new, requires_grad=old.requires_grad)
        new.__dict__.update(old.__dict__)
        replaced[id(old)] = new
    other = copied(model, replaced)
    correct_(other, {id(each) for each in replaced.values()}, step)
    return other


def after(step: Resize, name: str, tensor: Tensor) -> Tensor:
    """Return what a tensor of a name holds after a step, from what it held before."""
    numbers = [
        torch.tensor(unpack(each.kept), dtype=torch.int64, device=tensor.device)
        for each in step.numbers
        if each.tensor == name
    ]
    if step.grows:
        for kept in numbers:
            tensor = kept[tensor].to(tensor.dtype)
        return resized(tensor, step.of(name), True)
    tensor = resized(tensor, step.of(name), False)
    for kept in numbers:
        tensor = renumbered(tensor, kept)
    return tensor


def correct_(model: nn.Module, changed: set[int], step: Resize) -> None:
    """In place: correct the sizes that modules hold, after tensors of these identities have changed shape."""
    touched = [
        module
        for module in model.modules()
        if isinstance(module, nn.Transformer)
        or any(id(tensor) in changed for tensor in own_tensors(module))
    ]
    recompute_(model)
    with evaluating(model), torch.no_grad():  # reading a weight may compute it
        for module in reversed(touched):  # inner ones first: what holds them looks at them
            correct_sizes(module)
    for each in step.integers:
        _set_(model, each)


def _set_(model: nn.Module, count: Count) -> None:
    """In place: set an integer of a module, or of settings that it holds; of these the model gets a copy of its own."""
    holder: Any = model.get_submodule(count.module)
    settings, _, name = count.name.rpartition(".")
    if settings:
        shared = getattr(holder, settings)
        holder = copy.copy(shared)
        for module in model.modules():
            for attribute, value in list(vars(module).items()):
                if value is shared:
                    vars(module)[attribute] = holder
    value = count.after
    if count.place is not None:
        old = getattr(holder, name)
        value = type(old)(value if place == count.place else v for place, v in enumerate(old))
    vars(holder)[name] = value


def resized(tensor: Tensor, slices: Iterable[Slice], grows: bool, fill: float = 0.0) -> Tensor:
    """Return a tensor at its other size, laid out in memory as it was.

    Args:
        tensor: A tensor of the shape from which the slices lead.
        slices: The axes that change.
        grows: Whether the tensor becomes the larger of the two.
        fill: What stands at new positions.
    """
    layout = layout_of(tensor)
    for each in slices:
        index = torch.tensor(unpack(each.kept), dtype=torch.int64, device=tensor.device)
        if grows:
            shape = list(tensor.shape)
            shape[each.axis] = each.size
            tensor = tensor.new_full(shape, fill).index_copy(each.axis, index, tensor)
        else:
            tensor = tensor.index_select(each.axis, index)
    return tensor.contiguous(memory_format=layout)


def swap_(tensor: Tensor, values: Tensor) -> None:
    """In place: give a parameter or buffer other values of another shape.

    A graph that was recorded before must not reach it any more: its backward pass would leave a gradient of the old
    shape without a word. So that pass is made to raise, and the parameter begins a new record.
    """
    tensor.grad = None
    if tensor.requires_grad and tensor.is_leaf:
        with torch.enable_grad():
            edge = torch.autograd.graph.get_gradient_edge(tensor)
        edge.node.register_prehook(_refuse)
    # Going over another type makes autograd forget the shape that it has noted for the gradient.
    other = torch.float64 if tensor.dtype != torch.float64 else torch.float32
    tensor.data = values.new_empty(0, dtype=other)
    tensor.data = values


def _refuse(gradients: Any) -> None:
    raise InvalidArgument(
        "This backward pass belongs to a forward pass from before the model was cut. Cut between steps: after"
        " `optimizer.step()` and `optimizer.zero_grad()`, before the next forward pass."
    )


def layout_of(tensor: Tensor) -> torch.memory_format:
    """Return how a tensor lies in memory."""
    for dim, layout in ((4, torch.channels_last), (5, torch.channels_last_3d)):
        if tensor.dim() == dim and not tensor.is_contiguous():
            if tensor.is_contiguous(memory_format=layout):
                return layout
    return torch.contiguous_format
