"""`cut_`: the in-place twin of `cut`, for a model that goes on training."""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from surplus.base import InvalidArgument
from surplus.edits.cutting import cut
from surplus.edits.edits import Edits, Slice
from surplus.edits.resize import apply_, narrowed
from surplus.masks import Mask
from surplus.units import tensors_of


def cut_(
    model: nn.Module,
    mask: Mask,
    optimizer: torch.optim.Optimizer | Sequence[torch.optim.Optimizer] | None = None,
    verify: bool = True,
) -> Edits:
    """In place: cut a model, and its optimiser's state with it, so that training goes on as if it had been masked.

    Every `Parameter` stays the object that it was, so parameter groups, schedulers, hooks, tied weights and averages
    that refer to it stay valid. All or nothing: the cut is made and verified on a copy first.

    Args:
        model: The model; it must not be wrapped for parallel training.
        mask: A mask over its units.
        optimizer: The optimisers that train it. State that is shaped like its parameter is cut along; of any other,
            the state of that parameter begins anew, and a warning says so.
        verify: Compare the outputs with those of the masked model.

    Raises:
        InvalidArgument: as `cut`; or there are gradients, or the model is wrapped.
        NotEqual: the outputs differ by more than rounding; nothing was changed.
    """
    _check_ready(model)
    _, edits = cut(model, mask, verify)
    (step,) = edits.steps
    given = [optimizer] if isinstance(optimizer, torch.optim.Optimizer) else list(optimizer or ())
    names = {id(tensor): name for name, tensor in reversed(tensors_of(model).items())}
    shapes = {name: tensor.shape for name, tensor in tensors_of(model).items()}
    apply_(model, step)
    for each in given:
        for parameter, state in each.state.items():
            name = names.get(id(parameter))
            if name is not None and any(slice_.tensor == name for slice_ in step.slices):
                _narrow_(state, name, shapes[name], step.slices)
    return edits


def _check_ready(model: nn.Module) -> None:
    if isinstance(model, DataParallel | DistributedDataParallel):
        raise InvalidArgument(
            f"The model is wrapped in {type(model).__name__}, which keeps the old shapes: cut `model.module`, and wrap"
            " it anew."
        )
    waiting = [name for name, parameter in model.named_parameters() if parameter.grad is not None]
    if waiting:
        raise InvalidArgument(
            f"`{waiting[0]}` has a gradient that was computed before the cut. Cut between steps: call"
            " `optimizer.step()` and `optimizer.zero_grad()` first."
        )


def _narrow_(
    state: dict[str, object], name: str, shape: torch.Size, slices: tuple[Slice, ...]
) -> None:
    """In place: cut the state of one parameter, or empty it where it is of another shape."""
    strange = [
        key
        for key, value in state.items()
        if isinstance(value, Tensor) and value.numel() > 1 and value.shape != shape
    ]
    if strange:
        warnings.warn(
            f"The optimiser's `{strange[0]}` of `{name}` is not shaped like the parameter; its state begins anew.",
            stacklevel=3,
        )
        state.clear()
    for key, value in state.items():
        if isinstance(value, Tensor) and value.shape == shape and value.dim() > 0:
            state[key] = narrowed(value, name, slices)
