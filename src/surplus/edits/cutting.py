"""`cut`: a physically smaller network that computes what the masked one computes."""

from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.edits import Edits
from surplus.edits.integers import counts, numbered
from surplus.edits.intervals import pack
from surplus.edits.records import Kept, Resize, Slice
from surplus.edits.resize import check, resized_copy
from surplus.edits.verifying import difference, masked
from surplus.masks import Mask
from surplus.units import Group, Units


def cut(model: nn.Module, mask: Mask, verify: bool = True) -> tuple[nn.Module, Edits]:
    """Return a smaller model without the units that the mask removes, and the record of the edit.

    The caller's model stays as it was. The smaller one has its own parameters, of the same type, device and mode.

    Args:
        model: The model on whose units the mask was made, or one of the same shape.
        mask: A mask over units.
        verify: Compare the outputs with those of the masked model on the example of the mask's units.

    Raises:
        InvalidArgument: the mask is over weights, is not bound to units, belongs to another model, or empties a layer;
            or an integer or a permutation of the model's would have to follow two removals that differ.
        NotEqual: the outputs differ by more than rounding, which is a defect of this library.

    Example:
        >>> from surplus.units import find_units
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> mask = Mask.full(find_units(net, torch.zeros(1, 4)))
        >>> mask.kept["0"][1] = False
        >>> smaller, edits = cut(net, mask)
        >>> smaller[0], edits.steps[0].units[0].kept
        (Linear(in_features=4, out_features=2, bias=True), ((0, 1), (2, 3)))
    """
    units = mask.checked_units()
    step = removal(mask, units)
    check(model, step)
    smaller = resized_copy(model, step)
    if verify:
        apart = difference(masked(model, mask), smaller, model, units.example)
        step = replace(step, difference=apart)
    return smaller, Edits((step,))


def removal(mask: Mask, units: Units) -> Resize:
    """Return what a cut does to every tensor and integer."""
    for name in mask.kept:
        _check_blocks(units.chosen(name), mask.kept[name])
    kept = tuple(
        Kept(layer=name, size=units[name].size, kept=pack(mask.kept_index(name).tolist()))
        for name in mask.kept
    )
    return Resize(
        verb="cut",
        units=kept,
        slices=_slices(mask, units),
        integers=counts(mask, units),
        numbers=numbered(mask, units),
    )


def _check_blocks(group: Group, kept: Bool[Tensor, " units"]) -> None:
    """Refuse a mask that takes more from one block than from another where the network wants equal ones."""
    for constraint in group.constraints:
        left = kept[constraint.blocks].sum(1)
        if int(left.min()) != int(left.max()):
            raise InvalidArgument(
                f"The mask keeps between {int(left.min())} and {int(left.max())} units of each of the"
                f" {len(left)} blocks of `{group.name}`, but {constraint.reason}: keep as many of each, as `keep` does."
            )


def _slices(mask: Mask, units: Units) -> tuple[Slice, ...]:
    """Return what is kept of every tensor along every axis; several groups may take from the same."""
    removed: dict[tuple[str, int], list[Tensor]] = {}
    for name in mask.kept:
        gone = mask.removed_index(name)
        for slot in units.chosen(name).slots:
            removed.setdefault((slot.tensor, slot.axis), []).append(slot.positions(gone))
    slices = []
    for (tensor, axis), positions in removed.items():
        size = units.shapes[tensor][axis]
        kept = torch.ones(size, dtype=torch.bool)
        kept[torch.cat(positions)] = False
        slices.append(
            Slice(tensor=tensor, axis=axis, size=size, kept=pack(kept.nonzero()[:, 0].tolist()))
        )
    return tuple(slices)
