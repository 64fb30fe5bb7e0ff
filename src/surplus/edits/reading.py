"""Reading: the plain layers that read some units, and what these give them."""

from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.varying import varied
from surplus.edits.verifying import example_for
from surplus.units import Group, Slot, evaluating, left_as_found

READERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@final
@dataclass(frozen=True, eq=False)
class Reader:
    """One run of a layer that reads units, with what it was given and what looked at its output next."""

    name: str
    module: Any
    slot: Slot
    inputs: Tensor
    shifted: tuple[str, Tensor] | None
    """The tensor to which what the layer gets more has to be added: its bias, or that of the normalisation after it."""

    @property
    def axis(self) -> int:
        """The axis of its inputs along which units lie."""
        return 1 if self.module.weight.dim() > 2 else self.inputs.dim() - 1

    def channels(self, index: Int[Tensor, "units width"]) -> Int[Tensor, "units channels"]:
        """Return where it reads units that own positions of its weight: in each block of a grouped convolution."""
        groups, width = getattr(self.module, "groups", 1), self.module.weight.shape[1]
        return torch.cat([index + block * width for block in range(groups)], dim=1)


def readers(model: nn.Module, example: Any, group: Group) -> list[Reader]:
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


def _run(model: nn.Module, example: Any, slots: dict[str, Slot]) -> list[Reader]:
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
        result.append(Reader(name, module, slots[f"{name}.weight"], inputs, shifted))
    return result


def _shifted(name: str, module: Any, after: tuple[str, Any] | None) -> tuple[str, Tensor] | None:
    if module.bias is not None:
        return f"{name}.bias", module.bias
    if after is not None and after[1].running_mean is not None:
        return f"{after[0]}.running_mean", after[1].running_mean
    return None


def values_read(model: nn.Module, example: Any, group: Group) -> Float[Tensor, "units values"]:
    """Return what each unit gives to the plain layers that read it, on the example and another one.

    Raises:
        InvalidArgument: something else reads the units.
    """
    found = []
    for reader in readers(model, example, group):
        index = reader.channels(reader.slot.index)
        values = reader.inputs.double().cpu().movedim(reader.axis, 0)[index.reshape(-1)]
        found.append(values.reshape(len(index), -1))
    return torch.cat(found, dim=1)
