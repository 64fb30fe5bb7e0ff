"""Slicing the tensors of a model: the one place where shapes change."""

from typing import Any

import torch
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.edits import Cut, Edits, Slice
from surplus.edits.intervals import unpack
from surplus.edits.sizes import correct_sizes
from surplus.masks import Mask
from surplus.units import tensors_of


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
    """In place: make one cut on a model that it fits."""
    slice_(model, step.slices)
    for each in step.integers:
        module = model.get_submodule(each.module)
        value: Any = each.after
        if each.place is not None:
            old = getattr(module, each.name)
            value = type(old)(value if place == each.place else v for place, v in enumerate(old))
        setattr(module, each.name, value)


@torch.no_grad()
def slice_(model: nn.Module, slices: tuple[Slice, ...]) -> None:
    """In place: keep only the given positions of tensors, under all their names, and correct the modules' sizes."""
    tensors = tensors_of(model)
    names: dict[int, list[str]] = {}
    for name, tensor in tensors.items():
        names.setdefault(id(tensor), []).append(name)
    smaller: dict[str, Tensor] = {}
    for each in slices:
        tensor = smaller.get(each.tensor, tensors[each.tensor])
        index = torch.tensor(unpack(each.kept), dtype=torch.int64, device=tensor.device)
        smaller[each.tensor] = tensor.index_select(each.axis, index)
    touched: dict[str, nn.Module] = {}
    for name, values in smaller.items():
        old = tensors[name]
        new: Tensor = values
        if isinstance(old, nn.Parameter):
            new = nn.Parameter(values, requires_grad=old.requires_grad)
        for alias in names[id(old)]:
            path, _, leaf = alias.rpartition(".")
            touched[path] = model.get_submodule(path)
            setattr(touched[path], leaf, new)
    transformers = [module for module in model.modules() if isinstance(module, nn.Transformer)]
    for module in (*touched.values(), *transformers):
        correct_sizes(module)
