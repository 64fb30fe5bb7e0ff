"""Replaying: a record of edits repeated on another model, or on what is named like its tensors."""

import torch
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.edits import Edits
from surplus.edits.intervals import unpack
from surplus.edits.records import Factorisation, Resize
from surplus.edits.resize import check, check_axis, resize_, resized
from surplus.edits.surgery import factors, inserted, module_named, renamed, replace_
from surplus.masks import Mask
from surplus.units import copied


def replay_(model: nn.Module, edits: Edits) -> None:
    """In place: make the model's architecture what the edits made of the original one.

    What was cut is cut, with the values that this model has; what was added has values that are to be loaded.

    Raises:
        InvalidArgument: a tensor or module that the record speaks of is not in the model, or has another size; nothing
            was changed.
    """
    if len(edits) > 1:  # all or nothing: a later step may not fit what earlier ones make
        repeat_(copied(model), edits)
    repeat_(model, edits)


def repeat_(model: nn.Module, edits: Edits) -> None:
    """In place: do what `replay_` does, step by step, on a model that nobody needs if a step does not fit."""
    for step in edits.steps:
        if isinstance(step, Resize):
            check(model, step)
            resize_(model, step)
        elif isinstance(step, Factorisation):
            replace_(model, step.module, factors(module_named(model, step.module), step.rank))
        else:
            module = module_named(model, step.after)
            reads = next(module.parameters(), next(model.parameters(), torch.empty(0)))
            replace_(model, step.after, inserted(module, step, reads))


def sliced(tensors: dict[str, Tensor], edits: Edits) -> dict[str, Tensor]:
    """Return tensors that are named like a model's (an optimiser's moments) after the edits, with zeros where new."""
    return _carried_over(tensors, edits, fill=0.0)


def sliced_mask(mask: Mask, edits: Edits) -> Mask:
    """Return a mask of the model before the edits as one of the model after them, which keeps all that is new.

    Raises:
        InvalidArgument: a layer that was inserted or factorised has given units of the mask another meaning.
    """
    if mask.over == "weights":
        return Mask(_carried_over(mask.kept, edits, fill=1.0), "weights")
    kept = dict(mask.kept)
    for step in edits.steps:
        if not isinstance(step, Resize):
            kept = {new: each for name, each in kept.items() if (new := renamed(name, step))}
            continue
        for each in step.units:
            if each.layer in kept:
                index = torch.tensor(unpack(each.kept), dtype=torch.int64)
                old = kept[each.layer]
                if len(old) != (len(index) if step.grows else each.size):
                    raise InvalidArgument(
                        f"The edits expect {len(index) if step.grows else each.size} units of `{each.layer}`; the mask"
                        f" has {len(old)}, since the layer was inserted or factorised, or the mask belongs to another"
                        " model. Find the units of the edited model, and make a mask of these."
                    )
                if step.grows:
                    whole = torch.ones(each.size, dtype=torch.bool)
                    kept[each.layer] = whole.index_copy(0, index, old)
                else:
                    kept[each.layer] = old[index]
    return Mask(kept, "units")


def _carried_over(tensors: dict[str, Tensor], edits: Edits, fill: float) -> dict[str, Tensor]:
    result = dict(tensors)
    for step in edits.steps:
        if not isinstance(step, Resize):
            result = {new: each for name, each in result.items() if (new := renamed(name, step))}
            continue
        for name in step.tensors:
            if name in result:
                for each in step.of(name):
                    check_axis(result[name], each, step.grows)
                result[name] = resized(result[name], step.of(name), step.grows, fill)
    return result
