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
        inputs, targets = pair(batch)
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


def pair(batch: object) -> tuple[Tensor, Tensor]:
    """Return a batch as its inputs and targets.

    Raises:
        InvalidArgument: it is something else than a pair of tensors.
    """
    if not (isinstance(batch, tuple | list) and len(batch) == 2):
        raise _no_pair(batch)
    inputs, targets = batch
    if not (isinstance(inputs, Tensor) and isinstance(targets, Tensor)):
        raise _no_pair(batch)
    return inputs, targets


def _no_pair(batch: object) -> InvalidArgument:
    if isinstance(batch, Tensor):
        given = f"a tensor of shape {tuple(batch.shape)}"
    elif isinstance(batch, tuple | list):
        given = f"a {type(batch).__name__} of ({', '.join(type(each).__name__ for each in batch)})"
    else:
        given = f"a {type(batch).__name__}"
    return InvalidArgument(
        f"`data` yields {given}; it must yield (inputs, targets) pairs of tensors: pass a list of such pairs, or a"
        " DataLoader."
    )
