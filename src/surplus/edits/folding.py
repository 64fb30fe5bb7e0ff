"""Folding: a constant that units emit, moved into the bias of what reads them."""

import copy
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.reading import Reader, readers
from surplus.units import Group

ROUNDING = 1e-6


class _Shift(NamedTuple):
    """What has to be added to a bias, or taken from a running mean."""

    reader: Reader
    values: Float[Tensor, " outputs"]


def fold_(
    model: nn.Module,
    example: Any,
    group: Group,
    removed: Int[Tensor, " removed"],
    constants: Float[Tensor, " removed"] | None,
) -> tuple[str, ...]:
    """In place: add to the biases of what reads some units what these emit whatever the input.

    Args:
        model: The model.
        example: What it is called with.
        group: The layer.
        removed: The units whose constants are to be folded.
        constants: What they emit; None takes what they emit on the example, which has to be the same everywhere.

    Returns:
        The names of the tensors that have changed.

    Raises:
        InvalidArgument: it is not the same everywhere, or what reads it has no bias.
    """
    if not len(removed):
        return ()
    shifts = _shifts(group, readers(model, example, group), removed, constants)
    with torch.no_grad():
        for name, tensor, values in shifts:
            tensor.add_((-1 if name.endswith("running_mean") else 1) * values.to(tensor))
    return tuple(name for name, _, _ in shifts)


def foldable(
    model: nn.Module, example: Any, group: Group, units: Int[Tensor, " chosen"]
) -> Bool[Tensor, " chosen"]:
    """Say of which units `fold_` can fold what they emit."""

    def folds(chosen: Tensor) -> bool:
        try:
            _shifts(group, runs, chosen, None)
        except InvalidArgument:
            return False
        return True

    none = torch.zeros(len(units), dtype=torch.bool)
    if not len(units):
        return none
    try:
        runs = readers(model, example, group)
    except InvalidArgument:
        return none
    if folds(units):
        return ~none
    return torch.tensor([folds(units[place : place + 1]) for place in range(len(units))])


def _shifts(
    group: Group, runs: list[Reader], removed: Tensor, constants: Tensor | None
) -> list[tuple[str, Tensor, Tensor]]:
    """Return which tensors have to change, and by how much; runs of one layer have to agree on it."""
    found: dict[int, _Shift] = {}
    for reader in runs:
        values = _shift(group, reader, _received(reader, removed, constants))
        target = reader.module if reader.shifted is None else reader.shifted[1]
        known = found.setdefault(id(target), _Shift(reader, values))
        scale = max(float(known.values.abs().max()), float(values.abs().max()))
        if bool(((known.values - values).abs() > ROUNDING * scale).any()):
            raise InvalidArgument(
                f"What units of `{group.name}` emit reaches `{reader.name}` not the same each time that it runs, so"
                " that no bias can stand in for it. Remove the units with `cut`."
            )
    result = []
    for reader, values in found.values():
        if not bool(values.any()):
            continue
        if reader.shifted is None:
            raise InvalidArgument(
                f"What units of `{group.name}` emit whatever the input cannot be folded into `{reader.name}`, which has"
                " no bias, nor a batch norm after it: give it one, or remove the units with `cut`."
            )
        result.append((*reader.shifted, values))
    return result


def _received(reader: Reader, removed: Tensor, constants: Tensor | None) -> Tensor:
    """Return what a layer receives from the units alone."""
    index = reader.slot.index[removed]
    channels = reader.channels(index).reshape(-1).to(reader.inputs.device)
    received = torch.zeros_like(reader.inputs, dtype=torch.float64)
    if constants is None:
        values = reader.inputs.double().index_select(reader.axis, channels)
    else:
        each = constants.double().repeat_interleave(len(channels) // len(removed))
        shape = [1] * received.dim()
        shape[reader.axis] = len(channels)
        size = [*received.shape]
        size[reader.axis] = len(channels)
        values = each.to(received.device).view(shape).expand(size)
    return received.index_copy(reader.axis, channels, values)


@torch.no_grad()
def _shift(group: Group, reader: Reader, received: Tensor) -> Float[Tensor, " outputs"]:
    """Return what a layer makes of what it receives, which has to be the same at all positions."""
    layer = copy.deepcopy(reader.module).double()
    for hooks in (layer._forward_hooks, layer._forward_pre_hooks):
        hooks.clear()
    layer.bias = None
    made = layer(received)
    axis = 1 if layer.weight.dim() > 2 else made.dim() - 1
    flat = made.movedim(axis, 0).flatten(1)
    spread = flat.amax(1) - flat.amin(1)
    if bool((spread > ROUNDING * flat.abs().amax(1).clamp(min=1e-12)).any()):
        raise InvalidArgument(
            f"What units of `{group.name}` emit whatever the input reaches `{reader.name}` not the same at all"
            " positions, as at borders that are padded with zeros, so that no bias can stand in for it. Remove the"
            " units with `cut`."
        )
    return flat.mean(1)
