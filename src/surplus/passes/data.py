"""Data as the engines take it: a part of a task, or batches of inputs and targets."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from surplus.base import InvalidArgument, Part

Data = Part | Iterable[tuple[Tensor, Tensor]]


def pairs(data: Data) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (inputs, targets) batches as they are, without empty ones.

    Raises:
        InvalidArgument: something is not a pair of tensors, or not one target for each example.
    """
    try:
        found = iter(data)
    except TypeError as reason:
        raise InvalidArgument(
            f"`data` is a {type(data).__name__}; it must be a list of (inputs, targets) batches, a DataLoader, or a"
            " part of a task."
        ) from reason
    for batch in found:
        inputs, targets = pair(batch)
        if not (inputs.dim() and targets.dim() and len(inputs) == len(targets)):
            raise InvalidArgument(
                f"`data` yields inputs of shape {tuple(inputs.shape)} with targets of shape {tuple(targets.shape)}; it"
                " must yield one target for each example."
            )
        if len(inputs):
            yield inputs, targets


def batches(data: Data, like: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (inputs, targets) batches on the device and in the type of the model's parameters.

    Labels become int64, whatever their type. A model with layers that work in place gets copies, so that the caller's
    data stay as they are.

    Raises:
        InvalidArgument: the data hold no examples, something that is not a pair of tensors, or not one target for each
            example; or the model has no parameters.
    """
    reference = next(like.parameters(), None)
    if reference is None:
        raise InvalidArgument(f"The model, a {type(like).__name__}, has no parameters.")
    overwrites = any(getattr(module, "inplace", False) for module in like.modules())
    empty = True
    for given, labels in pairs(data):
        empty = False
        inputs, targets = given, labels
        if given.is_inference() and not torch.is_inference_mode_enabled():
            inputs = given.clone()  # one cannot differentiate through what that mode made
        if inputs.is_floating_point():
            inputs = inputs.to(reference.device, reference.dtype)
        inputs = inputs.to(reference.device)
        if not (targets.is_floating_point() or targets.is_complex()):
            targets = targets.long()
        yield (
            inputs.clone() if overwrites and inputs is given else inputs,
            targets.to(reference.device),
        )
    if empty:
        raise InvalidArgument(
            "`data` holds no examples (an iterator can be read only once: pass a list)."
        )


def are_labels(targets: Tensor) -> bool:
    """Say whether targets are one whole number for each example."""
    return targets.dim() == 1 and not targets.is_floating_point()


def check_labels(targets: Tensor) -> None:
    """Refuse targets that are not labels.

    Raises:
        InvalidArgument: they are not one whole number for each example.
    """
    if not are_labels(targets):
        raise InvalidArgument(
            f"This judges by labels, one whole number for each example; the targets are {targets.dtype} of shape"
            f" {tuple(targets.shape)}."
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
