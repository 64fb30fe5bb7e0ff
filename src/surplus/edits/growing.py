"""`grow`: a model with more units, which computes what it computed before."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.edits import Edits
from surplus.edits.enlarging import Enlarged, behind, enlarged
from surplus.edits.new_units import NewUnits
from surplus.edits.records import Resize
from surplus.edits.refusing import check_not_computed, check_uncoupled, computed_and_read
from surplus.edits.resize import check, resized, resized_copy
from surplus.edits.verifying import NotEqual, difference
from surplus.units import Group, Slot, Units, tensors_of


def grow(
    model: nn.Module, units: Units, new: Mapping[str, NewUnits], verify: bool = True
) -> tuple[nn.Module, Edits]:
    """Return a larger model with new units, and the record of the edit.

    Where nothing goes into the new units, or nothing comes out of them, the larger model computes what this one does.
    New units of several layers do not read one another. The caller's model stays as it was.

    Args:
        model: The model on which the units were found, or one of the same shape.
        units: Its units.
        new: The weights of the new units, by layer.
        verify: Compare the outputs with those of the model before; where the new units are not silent, with their
            outgoing weights at zero.

    Raises:
        InvalidArgument: units of a layer cannot be added one by one, take part in the statistics of a normalisation,
            or emit something although nothing goes in; or the weights do not fit.
        NotEqual: the outputs differ by more than rounding, which is a defect of this library.

    Example:
        >>> from surplus.units import find_units
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> new = NewUnits(incoming=torch.ones(2, 4))
        >>> larger, edits = grow(net, find_units(net, torch.zeros(1, 4)), {"0": new})
        >>> larger[0], larger[2].weight[:, 3:].abs().sum().item()
        (Linear(in_features=4, out_features=5, bias=True), 0.0)
    """
    plan = _planned(model, units, new)
    step = plan.step
    larger = resized_copy(model, step, _values(model, units, new, plan))
    if verify:
        _check_unnoticed(units, new)
        step = replace(step, difference=_verified(model, larger, units, new, plan))
    return larger, Edits((step,))


def _planned(model: nn.Module, units: Units, new: Mapping[str, NewUnits]) -> Enlarged:
    """Return where the new units will be, if they can be added."""
    units.check(model)
    like = {}
    for name, each in new.items():
        group = units.chosen(name)
        roles = {"incoming": group.incoming, "outgoing": group.outgoing, "carried": group.carried}
        widths = {
            role: sum(slot.width(units.shapes[slot.tensor]) for slot in slots)
            for role, slots in roles.items()
        }
        each.check(group, widths)
        like[name] = behind(group, each.count)
    plan = enlarged(model, units, like, "grow")
    check(model, plan.step)
    return plan


def _values(
    model: nn.Module, units: Units, new: Mapping[str, NewUnits], plan: Enlarged
) -> dict[str, Tensor]:
    """Return what the tensors hold that change their shape."""
    tensors = tensors_of(model)
    values = {
        name: resized(tensors[name].detach(), plan.step.of(name), True)
        for name in plan.step.tensors
    }
    for name, each in new.items():
        _write_(values, tensors, units[name], each, plan)
    return values


def _write_(
    values: dict[str, Tensor],
    tensors: Mapping[str, Tensor],
    group: Group,
    new: NewUnits,
    plan: Enlarged,
) -> None:
    """In place: write the weights of new units into tensors of the larger shapes."""
    larger, places = plan.new[group.name]
    if computed_and_read(group) and new.incoming is not None and new.outgoing is not None:
        raise InvalidArgument(
            f"The units of `{group.name}` are computed and read by the same weight: give `incoming` or `outgoing`, not"
            " both."
        )
    carried = new.carried if new.carried is not None else _as_usual(group, tensors, new.count)
    for slots, others, rows in (
        (group.incoming, larger.incoming, new.incoming),
        (group.carried, larger.carried, carried),
        (group.outgoing, larger.outgoing, new.outgoing),
    ):
        if rows is None:
            continue
        taken = 0
        for before, after in zip(slots, others, strict=True):
            shape = tensors[before.tensor].shape
            part = rows[:, taken : taken + before.width(shape)]
            taken += before.width(shape)
            _add_(values[before.tensor], shape, after, places, part, plan.step)


def _add_(
    value: Tensor,
    shape: torch.Size,
    slot: Slot,
    places: Tensor,
    rows: Float[Tensor, "new width"],
    step: Resize,
) -> None:
    """In place: add rows, as they are laid out in the smaller tensor, at the positions of new units."""
    rest = [each for each in step.of(slot.tensor) if each.axis != slot.axis]
    slab = resized(slot.slab(rows.to(value), shape), rest, True)
    index = slot.index[places].reshape(-1).to(value.device)
    value.index_add_(slot.axis, index, slab)


def _as_usual(
    group: Group, tensors: Mapping[str, Tensor], count: int
) -> Float[Tensor, "new carried"]:
    """Return what new units carry along where nothing was said."""
    parts = []
    for slot in group.carried:
        vectors = slot.vectors(tensors[slot.tensor].detach())
        leaf = slot.tensor.rpartition(".")[2]
        if "bias" in leaf or leaf == "running_mean":
            row = torch.zeros_like(vectors[0])
        elif leaf == "running_var" or leaf.endswith("_mask"):
            row = torch.ones_like(vectors[0])
        else:
            row = vectors.double().mean(0).to(vectors)
        parts.append(row)
    return torch.cat(parts).expand(count, -1) if parts else torch.empty(count, 0)


def _check_unnoticed(units: Units, new: Mapping[str, NewUnits]) -> None:
    """Refuse new units that change the function although nothing comes out of them over weights."""
    check_uncoupled(units, new)
    for name, each in new.items():
        group, reads = units[name], each.incoming is not None and bool(each.incoming.any())
        weight = computed_and_read(group)
        why = None
        if weight is not None and not each.empty:
            why = f"are computed and read by the same weight, `{weight}`"
        elif group.met is not None and reads:
            why = f"are added up without weights by {group.met}"
        if why is not None:
            raise InvalidArgument(
                f"The units of `{name}` {why}, so that new ones change the function. Let their incoming weights be"
                " zero, or pass `verify=False` to add them all the same."
            )


def _verified(
    model: nn.Module,
    larger: nn.Module,
    units: Units,
    new: Mapping[str, NewUnits],
    plan: Enlarged,
) -> float:
    """Compare the larger model, with its new units silent, with the model before."""
    if not all(each.silent for each in new.values()):
        quiet = {name: replace(each, outgoing=None) for name, each in new.items()}
        larger = resized_copy(model, plan.step, _values(model, units, quiet, plan))
    try:
        return difference(model, larger, model, units.example, ("original", "larger"))
    except NotEqual as apart:
        check_not_computed(units, new, apart)
        speaking = [name for name, each in new.items() if each.silent and each.outgoing is not None]
        if not speaking:
            raise
        raise InvalidArgument(
            f"With zero incoming weights, new units of `{speaking[0]}` still emit something that changes the outputs,"
            " as where an activation function does not keep zero. Let their outgoing weights be zero, or pass"
            " `verify=False`."
        ) from apart
