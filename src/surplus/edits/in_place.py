"""In-place twins of the edits, for a model that goes on training with its optimiser."""

import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from surplus.base import InvalidArgument
from surplus.edits.cutting import cut
from surplus.edits.edits import Edits
from surplus.edits.factorising import factorise
from surplus.edits.growing import grow
from surplus.edits.inserting import insert
from surplus.edits.merging import merge
from surplus.edits.new_units import NewUnits
from surplus.edits.records import ActivationKind, Resize
from surplus.edits.resize import resize_, resized, swap_
from surplus.edits.splitting import split
from surplus.edits.stand_ins import StandIns
from surplus.edits.surgery import module_named, replace_
from surplus.masks import Mask
from surplus.units import Units, tensors_of

Optimizers = torch.optim.Optimizer | Sequence[torch.optim.Optimizer] | None
SCALES = ("exp_avg_sq", "max_exp_avg_sq", "square_avg", "exp_inf", "sum", "step_size")
"""State that sets how long steps are: by the root of most an optimiser divides, and at zero, the first steps of new
weights would be far too long; Rprop's own step at zero would never let them move."""


def cut_(model: nn.Module, mask: Mask, optimizer: Optimizers = None, verify: bool = True) -> Edits:
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
    check_ready(model, optimizer)
    return adopt_(model, *cut(model, mask, verify), optimizer)


def grow_(
    model: nn.Module,
    units: Units,
    new: Mapping[str, NewUnits],
    optimizer: Optimizers = None,
    verify: bool = True,
) -> Edits:
    """In place: `grow` a model, and its optimiser's state with it; every `Parameter` stays the object that it was.

    The moments of new weights begin at zero; what an optimiser divides by, as Adam's mean of squares, begins at the
    mean over the tensor, so that their first steps are no longer than those of the others.

    Args:
        model: The model; it must not be wrapped for parallel training.
        units: As for `grow`.
        new: As for `grow`.
        optimizer: The optimisers that train it.
        verify: As for `grow`.

    Raises:
        InvalidArgument: as `grow`; or there are gradients, or the model is wrapped.
        NotEqual: the outputs differ by more than rounding; nothing was changed.
    """
    check_ready(model, optimizer)
    return adopt_(model, *grow(model, units, new, verify), optimizer)


def merge_(
    model: nn.Module,
    mask: Mask,
    stand_ins: Mapping[str, StandIns] | None = None,
    optimizer: Optimizers = None,
    verify: bool = True,
) -> Edits:
    """In place: `merge` units, and cut the optimiser's state; every `Parameter` stays the object that it was.

    Arguments and errors as for `merge` and `cut_`.
    """
    check_ready(model, optimizer)
    return adopt_(model, *merge(model, mask, stand_ins, verify), optimizer)


def split_(
    model: nn.Module,
    units: Units,
    which: Mapping[str, Sequence[int]],
    noise: float = 0.0,
    seed: int = 0,
    optimizer: Optimizers = None,
    verify: bool = True,
) -> Edits:
    """In place: `split` units, and enlarge the optimiser's state as `grow_` does; every `Parameter` stays.

    Arguments and errors as for `split` and `grow_`.
    """
    check_ready(model, optimizer)
    return adopt_(model, *split(model, units, which, noise, seed, verify), optimizer)


def factorise_(
    model: nn.Module,
    units: Units,
    layer: str,
    rank: int | None = None,
    energy: float | None = None,
    optimizer: Optimizers = None,
    verify: bool = True,
) -> Edits:
    """In place: `factorise` a layer; its weight becomes that of the second of the two, and stays the object it was.

    The optimiser's state of the weight begins anew, and a warning says so; the first layer's weight joins its group.
    Arguments and errors as for `factorise` and `cut_`.
    """
    check_ready(model, optimizer)
    edited, edits = factorise(model, units, layer, rank, energy, verify)
    old, pair = module_named(model, layer), module_named(edited, layer)
    weight = old.get_parameter("weight")
    swap_(weight, pair.get_parameter("1.weight").detach())
    pair[1].weight, pair[1].bias = weight, old.bias  # type: ignore[index]
    replace_(model, layer, pair)
    for each in _listed(optimizer):
        if each.state.pop(weight, None):
            warnings.warn(
                f"`{layer}.weight` is another matrix now; the optimiser's state of it begins anew.",
                stacklevel=2,
            )
        _enlist_(each, model, [pair.get_parameter("0.weight")], weight)
    return edits


def insert_(
    model: nn.Module,
    units: Units,
    after: str,
    kernel_size: int = 1,
    activation: ActivationKind = "none",
    optimizer: Optimizers = None,
    verify: bool = True,
) -> Edits:
    """In place: `insert` a layer; every `Parameter` stays, and the new ones join the optimiser.

    They join the group that has the parameters of the module before, or the first one if it has none. Arguments and
    errors as for `insert` and `cut_`.
    """
    check_ready(model, optimizer)
    edited, edits = insert(model, units, after, kernel_size, activation, verify)
    old, new = module_named(model, after), module_named(edited, after)
    new[0] = old  # type: ignore[operator]
    replace_(model, after, new)
    near = next(old.parameters(), None)
    for each in _listed(optimizer):
        _enlist_(each, model, list(new[1].parameters()), near)  # type: ignore[index]
    return edits


def _listed(optimizer: Optimizers) -> list[torch.optim.Optimizer]:
    listed = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
    return [each for each in listed if each is not None]


def _enlist_(
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
    for each in _listed(optimizer):
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
    for each in _listed(optimizer):
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
