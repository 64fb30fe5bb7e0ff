"""`merge`: a smaller model in which the units that are left take over what the removed ones did."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from surplus.base import InvalidArgument, unknown_name
from surplus.edits.cutting import removal
from surplus.edits.edits import Edits
from surplus.edits.folding import fold_
from surplus.edits.refusing import computed_and_read
from surplus.edits.repeating import exact_stand_ins, unmergeable
from surplus.edits.resize import check, resized_copy
from surplus.edits.stand_ins import StandIns
from surplus.edits.verifying import NotEqual, difference
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
    _check_layers(mask, given)
    prepared = copied(model)
    folded: list[str] = []
    for name in mask.kept:
        if len(mask.removed_index(name)):
            folded += _hand_over_(prepared, mask, units[name], given[name], exact)
    smaller = resized_copy(prepared, step)
    if verify:
        words = ("original", "merged")
        try:
            apart = difference(model, smaller, model, units.example, words, bounded=exact)
        except NotEqual as changed:
            _check_read_by_norm_alone(folded, changed)
            raise
        step = replace(step, difference=apart)
    return smaller, Edits((step,))


def _check_layers(mask: Mask, given: Mapping[str, StandIns]) -> None:
    """Refuse stand-ins that are not for the layers of a mask."""
    unknown = next((name for name in given if name not in mask.kept), None)
    if unknown is not None:
        raise unknown_name("layer with a mask", unknown, mask.kept)
    for name in mask.kept:
        if name not in given and len(mask.removed_index(name)):
            raise InvalidArgument(
                f"The mask removes units of `{name}`, but `stand_ins` says nothing of that layer."
            )


def _hand_over_(
    model: nn.Module, mask: Mask, group: Group, stand_ins: StandIns, exact: bool
) -> tuple[str, ...]:
    """In place: let the kept units of a layer do what the removed ones did; return what constants were folded into."""
    removed, kept = mask.removed_index(group.name), mask.kept_index(group.name)
    stand_ins.check(group.name, len(removed), len(kept))
    why = unmergeable(group)
    if why is not None and (exact or computed_and_read(group)):
        raise InvalidArgument(f"The units of `{group.name}` {why}.")
    folded: tuple[str, ...] = ()
    if exact:
        alone = removed[~stand_ins.coefficients.any(1)]
        folded = fold_(model, mask.checked_units().example, group, alone, None)
    elif stand_ins.constants is not None:
        folded = fold_(model, mask.checked_units().example, group, removed, stand_ins.constants)
    tensors = tensors_of(model)
    for slot in group.outgoing:
        tensor = tensors[slot.tensor]
        vectors = slot.vectors(tensor.detach()).double()
        more = stand_ins.coefficients.to(vectors).T @ vectors[removed]
        index = slot.index[kept].reshape(-1).to(tensor.device)
        with torch.no_grad():
            tensor.index_add_(slot.axis, index, slot.slab(more, tensor.shape).to(tensor))
    return folded


def _check_read_by_norm_alone(folded: list[str], changed: NotEqual) -> None:
    """Say that something besides a batch norm reads what it was corrected for, where that may be so.

    Raises:
        InvalidArgument: a running mean was changed.
    """
    means = [name for name in folded if name.endswith("running_mean")]
    if means:
        raise InvalidArgument(
            f"What removed units emit whatever the input was taken from `{means[0]}`, since the layer before has no"
            " bias, and the outputs are others then: something else reads that layer, too. Give it a bias, or remove"
            " the units with `cut`."
        ) from changed
