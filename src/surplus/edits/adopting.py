"""Adopting: a model and its optimisers become what an edited copy is, all or nothing."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from surplus.base import InvalidArgument
from surplus.edits.edits import Edits
from surplus.edits.records import Resize
from surplus.edits.resize import resize_, resized
from surplus.units import tensors_of

Optimizers = torch.optim.Optimizer | Sequence[torch.optim.Optimizer] | None
SCALES = ("exp_avg_sq", "max_exp_avg_sq", "square_avg", "exp_inf", "sum", "step_size")
"""State that sets how long steps are: by the root of most an optimiser divides, and at zero, the first steps of new
weights would be far too long; Rprop's own step at zero would never let them move."""


def listed(optimizer: Optimizers) -> list[torch.optim.Optimizer]:
    """Return the optimisers that were given, one or several or none."""
    several: Any = optimizer if isinstance(optimizer, list | tuple) else (optimizer,)
    return [each for each in several if each is not None]


def enlist_(
    optimizer: torch.optim.Optimizer,
    model: nn.Module,
    new: list[nn.Parameter],
    near: nn.Parameter | None,
) -> None:
    """In place: let an optimiser train new parameters with the settings that it has for another.

    One that knows its parameters by name learns what they are called now.
    """
    groups = optimizer.param_groups
    having = [group for group in groups if any(each is near for each in group["params"])]
    if near is None or having:
        (having or groups)[0]["params"].extend(new)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in groups:
        if "param_names" in group:
            known = dict(zip(map(id, group["params"]), group["param_names"], strict=False))
            called = known | names
            group["param_names"] = [called[id(each)] for each in group["params"]]


def check_ready(model: nn.Module, optimizer: Optimizers) -> None:
    """Refuse a model or an optimiser that cannot be edited in place now, before anything changes.

    Raises:
        InvalidArgument: the model is wrapped for parallel training, or has gradients; or the optimiser is none, or
            one whose state does not belong to single parameters.
    """
    for each in listed(optimizer):
        if not isinstance(each, torch.optim.Optimizer):
            raise InvalidArgument(
                f"`optimizer` is, or contains, a {type(each).__name__}; pass the optimisers of torch that train the"
                " model, without their schedulers or other wrappings."
            )
        if isinstance(each, torch.optim.LBFGS):
            raise InvalidArgument(
                "LBFGS keeps its state as one vector over all parameters, which cannot follow an edit: leave it out,"
                " and make a new one afterwards."
            )
    if isinstance(model, DataParallel | DistributedDataParallel):
        raise InvalidArgument(
            f"The model is wrapped in {type(model).__name__}, which keeps the old shapes: edit `model.module`, and wrap"
            " it anew."
        )
    waiting = [name for name, parameter in model.named_parameters() if parameter.grad is not None]
    if waiting:
        raise InvalidArgument(
            f"`{waiting[0]}` has a gradient that was computed before the edit. Edit between steps: call"
            " `optimizer.step()` and `optimizer.zero_grad()` first."
        )


def adopt_(model: nn.Module, edited: nn.Module, edits: Edits, optimizer: Optimizers) -> Edits:
    """In place: make a model what its edited copy is, and its optimisers' state what belongs to that."""
    (step,) = edits.steps
    assert isinstance(step, Resize)
    before, after = tensors_of(model), tensors_of(edited)
    names = {id(tensor): name for name, tensor in reversed(before.items())}
    shapes = {name: tensor.shape for name, tensor in before.items()}
    changed = {
        name: after[name].detach()
        for name, tensor in before.items()
        if names[id(tensor)] == name
        and (name in step.tensors or not torch.equal(tensor, after[name]))
    }
    resize_(model, step, changed)
    for each in listed(optimizer):
        for parameter, state in each.state.items():
            name = names.get(id(parameter), "")
            if name in step.tensors:
                _resize_state_(state, name, shapes[name], step)
    return edits


def _resize_state_(state: dict[str, object], name: str, shape: torch.Size, step: Resize) -> None:
    """In place: resize the state of one parameter, or empty it where it is of another shape."""
    strange = [
        key
        for key, value in state.items()
        if isinstance(value, Tensor) and value.numel() > 1 and value.shape != shape
    ]
    if strange:
        warnings.warn(
            f"The optimiser's `{strange[0]}` of `{name}` is not shaped like the parameter; its state begins anew.",
            stacklevel=4,
        )
        state.clear()
    for key, value in state.items():
        if isinstance(value, Tensor) and value.shape == shape and value.dim() > 0:
            fill = float(value.mean()) if key in SCALES and value.numel() else 0.0
            state[key] = resized(value, step.of(name), step.grows, fill)
