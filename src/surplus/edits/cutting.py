"""`cut`: a physically smaller network that computes what the masked one computes."""

import copy

import torch
from torch import nn

from surplus.base import InvalidArgument, SurplusError
from surplus.edits.edits import Cut, Edits, Kept, Slice
from surplus.edits.intervals import pack
from surplus.edits.resize import check, slice_
from surplus.masks import Mask, enforce
from surplus.units import Units, evaluating

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}


class NotEqual(SurplusError):
    """A cut model that does not compute what the masked one computes."""


def cut(model: nn.Module, mask: Mask, verify: bool = True) -> tuple[nn.Module, Edits]:
    """Return a smaller model without the units that the mask removes, and the record of the edit.

    The caller's model stays as it was. The smaller one has its own parameters, of the same type, device and mode.

    Args:
        model: The model on whose units the mask was made, or one of the same shape.
        mask: A mask over units.
        verify: Compare the outputs with those of the masked model on the example of the mask's units.

    Raises:
        InvalidArgument: the mask is over weights, is not bound to units, belongs to another model, or empties a layer.
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
    units = _units_of(mask)
    slices = _slices(model, mask, units)
    check(model, slices)
    smaller = copy.deepcopy(model)
    for each in slices:
        slice_(smaller, each)
    difference = _verified(model, smaller, mask, units) if verify else None
    kept = tuple(
        Kept(layer=name, size=units[name].size, kept=pack(mask.kept_index(name).tolist()))
        for name in mask.kept
    )
    return smaller, Edits((Cut(units=kept, slices=slices, difference=difference),))


def _units_of(mask: Mask) -> Units:
    if mask.over == "weights":
        raise InvalidArgument(
            "`cut` needs a mask over units: removing single weights leaves every tensor at its size."
        )
    if mask.units is None:
        raise InvalidArgument(
            "This mask was not bound to a model: use `mask.bind(find_units(model, example))`."
        )
    for name, kept in mask.kept.items():
        if not kept.any():
            raise InvalidArgument(
                f"The mask removes all {kept.numel()} units of `{name}`; keep at least one,"
                " since a network with an empty layer computes nothing."
            )
    return mask.units


def _slices(model: nn.Module, mask: Mask, units: Units) -> tuple[Slice, ...]:
    state = model.state_dict()
    slices = []
    for name in mask.kept:
        kept = mask.kept_index(name)
        for slot in units.chosen(name).slots:
            if slot.tensor not in state:
                raise InvalidArgument(
                    f"The mask speaks of `{slot.tensor}`, which this model does not have."
                )
            slices.append(
                Slice(
                    tensor=slot.tensor,
                    axis=slot.axis,
                    size=slot.index.numel(),
                    kept=pack(slot.positions(kept).tolist()),
                )
            )
    return tuple(slices)


@torch.no_grad()
def _verified(model: nn.Module, smaller: nn.Module, mask: Mask, units: Units) -> float:
    masked = enforce(model, mask)
    reference = next(model.parameters())
    example = units.example.to(reference.device)
    if example.is_floating_point():
        example = example.to(reference.dtype)
    with evaluating(masked), evaluating(smaller):
        expected, found = masked(example), smaller(example)
    difference = float((expected - found).abs().max())
    bound = TOLERANCE.get(expected.dtype, 1e-2) * max(1.0, float(expected.abs().max()))
    if not difference <= bound:
        raise NotEqual(
            f"The cut model's outputs differ from the masked model's by up to {difference:.3g}."
            " Please report this with the model; nothing was changed."
        )
    return difference
