"""Enforcing a mask: zero what is removed, in a copy or in place."""

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.masks.mask import Mask
from surplus.units import copied


def enforce(model: nn.Module, mask: Mask) -> nn.Module:
    """Return a copy of the model in which everything that the mask removes is zero.

    The copy is a *masked* model: it computes what the cut one computes, and is neither smaller nor faster.
    """
    masked = copied(model)
    enforce_(masked, mask)
    return masked


@torch.no_grad()
def enforce_(model: nn.Module, mask: Mask) -> None:
    """In place: set to zero every parameter entry that the mask removes."""
    parameters = dict(model.named_parameters())
    for name, kept in on_weights(model, mask).items():
        # Not a product: a removed NaN or infinity must go, too.
        parameters[name].masked_fill_(~kept.to(parameters[name].device), 0.0)


def on_weights(model: nn.Module, mask: Mask) -> dict[str, Bool[Tensor, "..."]]:
    """Return which entries of the model's parameters a mask keeps; parameters it does not touch are left out.

    A removed unit loses all its slots: incoming weights, bias, scale and shift, and outgoing weights, so that it
    emits nothing whatever its activation function makes of zero. Running statistics are no parameters and stay.

    Raises:
        InvalidArgument: the mask belongs to another model, or is over units and was not bound to any.
    """
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    if mask.over == "weights":
        for name, kept in mask.kept.items():
            if shapes.get(name) != kept.shape:
                raise InvalidArgument(
                    f"The mask of `{name}` has shape {tuple(kept.shape)}; the model has"
                    f" {tuple(shapes[name]) if name in shapes else 'no such parameter'}."
                )
        return dict(mask.kept)
    if mask.units is None:
        raise InvalidArgument(
            "This mask over units was not bound to a model: use `mask.bind(find_units(model, example))`."
        )
    weights: dict[str, Bool[Tensor, "..."]] = {}
    mask.units.check(model)
    for name in mask.kept:
        removed = mask.removed_index(name)
        for slot in mask.units.chosen(name).slots:
            if slot.tensor not in shapes:  # a buffer, such as a running statistic
                continue
            kept = weights.setdefault(
                slot.tensor, torch.ones(shapes[slot.tensor], dtype=torch.bool)
            )
            kept.index_fill_(slot.axis, slot.positions(removed), False)
    return weights
