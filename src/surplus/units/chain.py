"""Chains: networks whose layers run one after the other."""

import copy
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from surplus.base import InvalidArgument


def chain_of(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the layers of a chain in the order in which they run, with their names; nested chains are flattened.

    Raises:
        InvalidArgument: the model is not an `nn.Sequential`, so its module list does not say how it runs.
    """
    if not is_chain(model):
        raise InvalidArgument(
            f"{type(model).__name__} is not a chain of layers, which this needs: an `nn.Sequential`,"
            " nested ones too."
        )
    return list(_layers(cast(nn.Sequential, model), ""))


def is_chain(model: nn.Module) -> bool:
    """Say whether a model is a chain: an `nn.Sequential` whose `forward` is that of `nn.Sequential`."""
    return isinstance(model, nn.Sequential) and type(model).forward is nn.Sequential.forward


def _layers(model: nn.Sequential, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    # Not `named_children`, which leaves out a layer that runs a second time.
    for name, module in model._modules.items():
        assert module is not None
        if is_chain(module):
            yield from _layers(cast(nn.Sequential, module), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", module


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Hold a model in evaluation mode, and give each module its own mode back afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def left_as_found(model: nn.Module) -> Iterator[None]:
    """Undo afterwards what a run does to a model: its buffers, attributes, hooks and lists, and the random streams."""
    attributes = [(module, dict(vars(module)), dict(module._buffers)) for module in model.modules()]
    holders = [(each, each.copy()) for module in model.modules() for each in _holders(module)]
    buffers = [(each, each._version, each.clone()) for each in model.buffers()]
    devices = {each.device for each in model.parameters() if each.device.type == "cuda"}
    with torch.random.fork_rng(devices=list(devices)):
        try:
            yield
        finally:
            for module, before, held in attributes:
                vars(module).clear()
                vars(module).update(before)
                module._buffers.clear()
                module._buffers.update(held)
            for holder, contents in holders:
                _refill(holder, contents)
            with torch.no_grad():
                for buffer, version, values in buffers:
                    if buffer._version != version:
                        buffer.copy_(values)


def _holders(module: nn.Module) -> Iterator[dict[Any, Any] | list[Any] | set[Any]]:
    """Yield what a module's code or its hooks can put something into."""
    for value in vars(module).values():
        if type(value) in (dict, OrderedDict, list, set):
            yield value


def _refill(holder: dict[Any, Any] | list[Any] | set[Any], contents: Any) -> None:
    """In place: give a dictionary, list or set the contents that it had."""
    holder.clear()
    if isinstance(holder, list):
        holder.extend(contents)
    else:
        holder.update(contents)


def check_module(model: Any) -> None:
    """Refuse what has no operators or tensors that could be followed.

    Raises:
        InvalidArgument: it is no module, or it holds a compiled, quantised or uninitialised one.
    """
    if not isinstance(model, nn.Module):
        raise InvalidArgument(
            f"The model is a {type(model).__name__}; an `nn.Module` is needed, whose tensors can be cut."
        )
    for name, module in model.named_modules():
        where = f"`{name}`" if name else "The model"
        if isinstance(module, torch.jit.ScriptModule):
            raise InvalidArgument(
                f"{where} is a ScriptModule, whose code cannot be followed: use the module that it was made from."
            )
        if ".quantized" in type(module).__module__:
            raise InvalidArgument(
                f"{where} is quantised ({type(module).__name__}): its weights are packed and cannot be cut."
                " Cut the model before it is quantised."
            )
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if isinstance(tensor, nn.UninitializedParameter | nn.UninitializedBuffer):
            raise InvalidArgument(
                f"`{name}` has no shape yet: run the model once on an example before its units are asked for."
            )


def copied(model: nn.Module, replaced: Mapping[int, Tensor] | None = None) -> nn.Module:
    """Return a deep copy of a model, also of one that holds tensors that were computed, as pruning hooks leave them.

    Args:
        model: The model.
        replaced: What stands in the copy instead of a tensor, by the tensor's identity.
    """
    memo: dict[int, object] = dict(replaced or {})
    for module in model.modules():
        for value in vars(module).values():
            for each in value if isinstance(value, list) else (value,):
                if isinstance(each, Tensor) and not each.is_leaf:
                    memo[id(each)] = each.detach().clone()
    return copy.deepcopy(model, memo)
