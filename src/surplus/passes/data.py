"""Data as the engines take it: a part of a task, or batches of inputs and targets."""

from collections.abc import Iterable, Iterator

from torch import Tensor, nn

from surplus.base import InvalidArgument, Part

Data = Part | Iterable[tuple[Tensor, Tensor]]


def batches(data: Data, like: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (inputs, targets) batches on the device and in the type of the model's parameters.

    A model with layers that work in place gets copies, so that the caller's data stay as they are.

    Raises:
        InvalidArgument: the data hold no batch, or something that is not a pair of tensors.
    """
    reference = next(like.parameters())
    overwrites = any(getattr(module, "inplace", False) for module in like.modules())
    empty = True
    for batch in data:
        empty = False
        if not (isinstance(batch, tuple | list) and len(batch) == 2):
            raise InvalidArgument("`data` must yield (inputs, targets) pairs of tensors.")
        inputs, targets = batch
        if inputs.is_floating_point():
            inputs = inputs.to(reference.device, reference.dtype)
        inputs = inputs.to(reference.device)
        yield (
            inputs.clone() if overwrites and inputs is batch[0] else inputs,
            targets.to(reference.device),
        )
    if empty:
        raise InvalidArgument(
            "`data` holds no examples (an iterator can be read only once: pass a list)."
        )
