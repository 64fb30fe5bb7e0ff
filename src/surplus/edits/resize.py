"""Slicing the tensors of a model: the one place where shapes change."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.edits import Count, Cut, Edits, Slice
from surplus.edits.intervals import unpack
from surplus.edits.sizes import correct_sizes
from surplus.masks import Mask
from surplus.units import copied, renumbered, tensors_of


def replay_(model: nn.Module, edits: Edits) -> None:
    """In place: make the model's architecture what the edits made of the original one.

    Raises:
        InvalidArgument: a tensor that the record speaks of is not in the model, or has another size.
    """
    for step in edits.steps:
        check(model, step.slices)
        apply_(model, step)


def sliced(tensors: dict[str, Tensor], edits: Edits) -> dict[str, Tensor]:
    """Return tensors that are named like a model's (an optimiser's moments, a mask) after the edits."""
    result = dict(tensors)
    for step in edits.steps:
        for each in step.slices:
            if each.tensor in result:
                index = torch.tensor(unpack(each.kept), dtype=torch.int64)
                result[each.tensor] = result[each.tensor].index_select(each.axis, index)
    return result


def sliced_mask(mask: Mask, edits: Edits) -> Mask:
    """Return a mask of the model before the edits as one of the model after them."""
    if mask.over == "weights":
        return Mask(sliced(mask.kept, edits), "weights")
    kept = dict(mask.kept)
    for step in edits.steps:
        for each in step.units:
            if each.layer in kept:
                kept[each.layer] = kept[each.layer][torch.tensor(unpack(each.kept))]
    return Mask(kept, "units")


def check(model: nn.Module, slices: tuple[Slice, ...]) -> None:
    """Refuse slices that do not fit the model, before anything is changed."""
    tensors = tensors_of(model)
    missing = [each.tensor for each in slices if each.tensor not in tensors]
    if missing:
        raise InvalidArgument(f"The edits speak of `{missing[0]}`, which this model does not have.")
    for each in slices:
        shape = tuple(tensors[each.tensor].shape)
        if each.axis >= len(shape) or shape[each.axis] != each.size:
            raise InvalidArgument(
                f"The edits expect `{each.tensor}` with {each.size} entries along axis {each.axis};"
                f" here its shape is {shape}. They were made on another architecture."
            )


def apply_(model: nn.Module, step: Cut) -> None:
    """In place: make one cut on a model that it fits; every parameter stays the object that it was."""
    tensors = tensors_of(model)
    for name in step.tensors:
        swap_(tensors[name], _after(tensors[name].data, name, step))
    resize_(model, {id(tensors[each.tensor]) for each in step.slices}, step)


def _after(tensor: Tensor, name: str, step: Cut) -> Tensor:
    """Return what a cut leaves of a tensor of that name."""
    left = narrowed(tensor, name, step.slices)
    for each in step.numbers:
        if each.tensor == name:
            left = renumbered(left, torch.tensor(unpack(each.kept), dtype=torch.int64))
    return left


def resize_(model: nn.Module, changed: set[int], step: Cut) -> None:
    """In place: correct the sizes that modules hold, after tensors of these identities have changed shape."""
    touched = [
        module
        for module in model.modules()
        if isinstance(module, nn.Transformer)
        or any(
            id(tensor) in changed
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False))
        )
    ]
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


def smaller_copy(model: nn.Module, step: Cut) -> nn.Module:
    """Return a copy of a model with one cut made; what goes is not even copied."""
    tensors = tensors_of(model)
    replaced: dict[int, Tensor] = {}
    for name in step.tensors:
        old = tensors[name]
        new = _after(old.detach(), name, step)
        if isinstance(old, nn.Parameter):
            new = nn.Parameter(new, requires_grad=old.requires_grad)
        new.__dict__.update(old.__dict__)
        replaced[id(old)] = new
    smaller = copied(model, replaced)
    resize_(smaller, {id(each) for each in replaced.values()}, step)
    return smaller


def narrowed(tensor: Tensor, name: str, slices: tuple[Slice, ...]) -> Tensor:
    """Return the kept positions of a tensor that is shaped like the one of that name, laid out in memory as it was."""
    layout = _layout(tensor)
    for each in slices:
        if each.tensor == name:
            index = torch.tensor(unpack(each.kept), dtype=torch.int64, device=tensor.device)
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


def _layout(tensor: Tensor) -> torch.memory_format:
    for dim, layout in ((4, torch.channels_last), (5, torch.channels_last_3d)):
        if tensor.dim() == dim and not tensor.is_contiguous():
            if tensor.is_contiguous(memory_format=layout):
                return layout
    return torch.contiguous_format
