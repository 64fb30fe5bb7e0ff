"""Slicing the tensors of a model: the one place where shapes change."""

import torch
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.edits import Edits, Slice
from surplus.edits.intervals import unpack
from surplus.masks import Mask

SIZES = {
    # module type -> (attribute that counts axis 0 of the weight, attribute that counts axis 1)
    nn.Linear: ("out_features", "in_features"),
    nn.Conv1d: ("out_channels", "in_channels"),
    nn.Conv2d: ("out_channels", "in_channels"),
    nn.BatchNorm1d: ("num_features",),
    nn.BatchNorm2d: ("num_features",),
}


def replay_(model: nn.Module, edits: Edits) -> None:
    """In place: make the model's architecture what the edits made of the original one.

    Raises:
        InvalidArgument: a tensor that the record speaks of is not in the model, or has another size.
    """
    for step in edits.steps:
        check(model, step.slices)
        for each in step.slices:
            slice_(model, each)


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
    state = model.state_dict()
    for each in slices:
        if each.tensor not in state:
            raise InvalidArgument(
                f"The edits speak of `{each.tensor}`, which this model does not have."
            )
        shape = tuple(state[each.tensor].shape)
        if each.axis >= len(shape) or shape[each.axis] != each.size:
            raise InvalidArgument(
                f"The edits expect `{each.tensor}` with {each.size} entries along axis {each.axis};"
                f" here its shape is {shape}. They were made on another architecture."
            )


@torch.no_grad()
def slice_(model: nn.Module, each: Slice) -> None:
    """In place: keep only the given positions of one tensor, and correct the module's sizes."""
    path, _, name = each.tensor.rpartition(".")
    module = model.get_submodule(path)
    tensor: Tensor = getattr(module, name)
    index = torch.tensor(unpack(each.kept), dtype=torch.int64, device=tensor.device)
    smaller = tensor.index_select(each.axis, index)
    if isinstance(tensor, nn.Parameter):
        module.register_parameter(name, nn.Parameter(smaller, requires_grad=tensor.requires_grad))
    else:
        module.register_buffer(name, smaller)
    if name == "weight":
        setattr(module, SIZES[type(module)][each.axis], len(index))
