"""`expand`: a cut model at its original size again, with zeros where units were removed."""

import torch
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.edits import Count, Cut, Edits, Slice
from surplus.edits.intervals import unpack
from surplus.edits.resize import resize_
from surplus.units import copied, tensors_of


def expand(model: nn.Module, edits: Edits) -> nn.Module:
    """Return a copy of a cut model with the original architecture: what was removed is there again, and zero.

    Weights that trained on after the cut are where they were, so networks that were cut differently can be compared
    position by position. The copy computes what the cut model computes, unless removed units take part in the
    statistics of a normalisation again.

    Args:
        model: The model that the edits made.
        edits: The edits.

    Raises:
        InvalidArgument: the model does not have the shapes that the edits lead to.
    """
    whole = copied(model)
    for step in reversed(edits.steps):
        whole = _expanded(whole, step)
    return whole


def _expanded(model: nn.Module, step: Cut) -> nn.Module:
    tensors = tensors_of(model)
    replaced: dict[int, Tensor] = {}
    for name in step.tensors:
        if name not in tensors:
            raise InvalidArgument(f"The edits speak of `{name}`, which this model does not have.")
        old = tensors[name]
        new = old.detach()
        for number in step.numbers:
            if number.tensor == name:
                new = torch.tensor(unpack(number.kept), device=new.device)[new].to(new.dtype)
        for each in reversed(step.slices):
            if each.tensor == name:
                new = _spread(new, each)
        if isinstance(old, nn.Parameter):
            new = nn.Parameter(new, requires_grad=old.requires_grad)
        new.__dict__.update(old.__dict__)
        replaced[id(old)] = new
    whole = copied(model, replaced)
    back = tuple(
        Count(module=c.module, name=c.name, place=c.place, before=c.after, after=c.before)
        for c in step.integers
    )
    backwards = Cut(units=step.units, slices=step.slices, integers=back)
    resize_(whole, {id(each) for each in replaced.values()}, backwards)
    return whole


def _spread(tensor: Tensor, slice_: Slice) -> Tensor:
    """Put the kept positions where they were, among zeros."""
    index = torch.tensor(unpack(slice_.kept), dtype=torch.int64, device=tensor.device)
    if tensor.dim() <= slice_.axis or tensor.shape[slice_.axis] != len(index):
        raise InvalidArgument(
            f"The edits leave `{slice_.tensor}` with {len(index)} entries along axis {slice_.axis}; here its shape is"
            f" {tuple(tensor.shape)}. They were made on another model."
        )
    shape = list(tensor.shape)
    shape[slice_.axis] = slice_.size
    return tensor.new_zeros(shape).index_copy(slice_.axis, index, tensor)
