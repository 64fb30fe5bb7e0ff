"""Folding: a constant that units emit, moved into the bias of what reads them."""

import copy
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.varying import varied
from surplus.edits.verifying import example_for
from surplus.units import Group, Slot, evaluating, left_as_found

READERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
ROUNDING = 1e-6


class _Reader(NamedTuple):
    """One run of a layer that reads units, with what it was given and what looked at its output next."""

    name: str
    module: Any
    slot: Slot
    inputs: Tensor
    shifted: tuple[str, Tensor] | None
    """The tensor to which what the layer gets more has to be added: its bias, or that of the normalisation after it."""


class _Shift(NamedTuple):
    """What has to be added to a bias, or taken from a running mean."""

    reader: _Reader
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
    shifts = _shifts(group, _readers(model, example, group), removed, constants)
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
            _shifts(group, readers, chosen, None)
        except InvalidArgument:
            return False
        return True

    none = torch.zeros(len(units), dtype=torch.bool)
    if not len(units):
        return none
    try:
        readers = _readers(model, example, group)
    except InvalidArgument:
        return none
    if folds(units):
        return ~none
    return torch.tensor([folds(units[place : place + 1]) for place in range(len(units))])


def values_read(model: nn.Module, example: Any, group: Group) -> Float[Tensor, "units values"]:
    """Return what each unit gives to the plain layers that read it, on the example and another one.

    Raises:
        InvalidArgument: something else reads the units.
    """
    found = []
    for reader in _readers(model, example, group):
        axis = 1 if reader.module.weight.dim() > 2 else reader.inputs.dim() - 1
        groups, width = getattr(reader.module, "groups", 1), reader.module.weight.shape[1]
        index = torch.cat([reader.slot.index + block * width for block in range(groups)], dim=1)
        values = reader.inputs.double().cpu().movedim(axis, 0)[index.reshape(-1)]
        found.append(values.reshape(len(index), -1))
    return torch.cat(found, dim=1)


def _shifts(
    group: Group, readers: list[_Reader], removed: Tensor, constants: Tensor | None
) -> list[tuple[str, Tensor, Tensor]]:
    """Return which tensors have to change, and by how much; runs of one layer have to agree on it."""
    found: dict[int, _Shift] = {}
    for reader in readers:
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


def _readers(model: nn.Module, example: Any, group: Group) -> list[_Reader]:
    """Run the model, and return the plain layers that read the units, each time that they run.

    The model runs on another example, too, since one input cannot tell what depends on it.

    Raises:
        InvalidArgument: something else reads the units.
    """
    slots = {slot.tensor: slot for slot in group.outgoing}
    found = _run(model, example, slots)
    known = {reader.slot.tensor for reader in found}
    unknown = [slot.tensor for slot in group.outgoing if slot.tensor not in known]
    if unknown:
        raise InvalidArgument(
            f"What units of `{group.name}` emit whatever the input can be folded into linear layers and convolutions;"
            f" `{unknown[0]}`, which reads them, is no weight of one. Remove them with `cut`."
        )
    try:
        others = _run(model, varied(example), slots)
    except Exception:  # not every model runs on any numbers
        return found
    return found + [reader for reader in others if bool(reader.inputs.isfinite().all())]


def _run(model: nn.Module, example: Any, slots: dict[str, Slot]) -> list[_Reader]:
    seen: list[tuple[str, Any, Tensor, Tensor]] = []
    followed: list[tuple[Tensor, str, nn.Module]] = []
    handles = []

    def reading(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            seen.append((name, module, inputs[0].detach().clone(), output))

        return hook

    def following(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any) -> None:
            followed.append((inputs[0], name, module))

        return hook

    for name, module in model.named_modules():
        if f"{name}.weight" in slots and type(module) in READERS:
            handles.append(module.register_forward_hook(reading(name)))
        elif isinstance(module, nn.modules.batchnorm._BatchNorm):
            handles.append(module.register_forward_pre_hook(following(name)))
    positional, named = example_for(model, example)
    try:
        with torch.no_grad(), evaluating(model), left_as_found(model):
            model(*positional, **named)
    finally:
        for handle in handles:
            handle.remove()
    result = []
    for name, module, inputs, output in seen:
        after = next(((path, norm) for given, path, norm in followed if given is output), None)
        shifted = _shifted(name, module, after)
        result.append(_Reader(name, module, slots[f"{name}.weight"], inputs, shifted))
    return result


def _shifted(name: str, module: Any, after: tuple[str, Any] | None) -> tuple[str, Tensor] | None:
    if module.bias is not None:
        return f"{name}.bias", module.bias
    if after is not None and after[1].running_mean is not None:
        return f"{after[0]}.running_mean", after[1].running_mean
    return None


def _received(reader: _Reader, removed: Tensor, constants: Tensor | None) -> Tensor:
    """Return what a layer receives from the units alone."""
    slot, axis = reader.slot, 1 if reader.module.weight.dim() > 2 else -1
    own = slot.positions(removed) if constants is None else slot.index[removed].reshape(-1)
    groups, width = getattr(reader.module, "groups", 1), reader.module.weight.shape[1]
    channels = torch.cat([own + block * width for block in range(groups)]).to(reader.inputs.device)
    received = torch.zeros_like(reader.inputs, dtype=torch.float64)
    if constants is None:
        values = reader.inputs.double().index_select(axis, channels)
    else:
        each = constants.double().repeat_interleave(slot.index.shape[1]).repeat(groups)
        shape = [1] * received.dim()
        shape[axis] = len(channels)
        size = [*received.shape]
        size[axis] = len(channels)
        values = each.to(received.device).view(shape).expand(size)
    return received.index_copy(axis, channels, values)


@torch.no_grad()
def _shift(group: Group, reader: _Reader, received: Tensor) -> Float[Tensor, " outputs"]:
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
