"""`merge`: a smaller model in which the units that are left take over what the removed ones did."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.cutting import removal
from surplus.edits.edits import Edits
from surplus.edits.folding import fold_
from surplus.edits.growing import computed_and_read
from surplus.edits.repeating import exact_stand_ins
from surplus.edits.resize import check, resized_copy
from surplus.edits.stand_ins import StandIns
from surplus.edits.verifying import difference
from surplus.masks import Mask
from surplus.units import Group, copied, tensors_of


def merge(
    model: nn.Module,
    mask: Mask,
    stand_ins: Mapping[str, StandIns] | None = None,
    verify: bool = True,
) -> tuple[nn.Module, Edits]:
    """Return a smaller model without the units that the mask removes, whose work is taken over, and the record.

    Where a removed unit is a weighted sum of others and a constant, their outgoing weights take up its own by these
    weights, and the biases of what reads it the constant: a model with repeated or constant units is smaller
    afterwards and computes the same.

    Args:
        model: The model on whose units the mask was made, or one of the same shape.
        mask: A mask over units, such as `mergeable` returns.
        stand_ins: What stands in for the removed units, by layer. None finds it in the weights: each removed unit has
            to repeat one that stays, or a multiple of it, or to have no incoming weights. Then the model is exact.
        verify: Compare the outputs with those of the model before, and note the difference. Without `stand_ins` they
            have to be equal to rounding.

    Raises:
        InvalidArgument: as `cut`; or nothing can stand in for a unit exactly, or its constant has no place.
        NotEqual: the outputs differ although the units repeat one another.

    Example:
        >>> from surplus.edits import mergeable
        >>> from surplus.units import find_units
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> with torch.no_grad():
        ...     _ = net[0].weight[2].copy_(net[0].weight[1]), net[0].bias[2].copy_(net[0].bias[1])
        >>> smaller, edits = merge(net, mergeable(find_units(net, torch.randn(8, 4))))
        >>> smaller[0].out_features, edits.steps[0].difference < 1e-6
        (2, True)
    """
    units = mask.checked_units()
    step = replace(removal(mask, units), verb="merge")
    check(model, step)
    exact = stand_ins is None
    given = exact_stand_ins(model, mask) if stand_ins is None else dict(stand_ins)
    prepared = copied(model)
    for name in mask.kept:
        if not len(mask.removed_index(name)):
            continue
        if name not in given:
            raise InvalidArgument(
                f"The mask removes units of `{name}`, but `stand_ins` says nothing of that layer."
            )
        _hand_over_(prepared, mask, units[name], given[name], exact)
    smaller = resized_copy(prepared, step)
    if verify:
        words = ("original", "merged")
        apart = difference(model, smaller, model, units.example, words, bounded=exact)
        step = replace(step, difference=apart)
    return smaller, Edits((step,))


def _hand_over_(
    model: nn.Module, mask: Mask, group: Group, stand_ins: StandIns, exact: bool
) -> None:
    """In place: let the kept units of a layer do what the removed ones did, which are still there."""
    removed, kept = mask.removed_index(group.name), mask.kept_index(group.name)
    stand_ins.check(group.name, len(removed), len(kept))
    weight = computed_and_read(group)
    if weight is not None:
        raise InvalidArgument(
            f"The units of `{group.name}` are computed and read by the same weight, `{weight}`, which cannot take over"
            " what others did without computing something else."
        )
    if exact:
        alone = removed[~stand_ins.coefficients.any(1)]
        fold_(model, mask.checked_units().example, group, alone, None)
    elif stand_ins.constants is not None:
        fold_(model, mask.checked_units().example, group, removed, stand_ins.constants)
    tensors = tensors_of(model)
    for slot in group.outgoing:
        tensor = tensors[slot.tensor]
        vectors = slot.vectors(tensor.detach()).double()
        more = stand_ins.coefficients.to(vectors).T @ vectors[removed]
        with torch.no_grad():
            _add_(tensor, slot.axis, slot.index[kept], more)


def _add_(tensor: Tensor, axis: int, index: Tensor, rows: Tensor) -> None:
    other = [length for place, length in enumerate(tensor.shape) if place != axis]
    slab = rows.reshape(-1, *other).movedim(0, axis).to(tensor)
    tensor.index_add_(axis, index.reshape(-1).to(tensor.device), slab)
