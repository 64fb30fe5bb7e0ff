"""Weights that modules compute from other tensors: by hooks of `torch.nn.utils`, or by a parametrisation."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm


@torch.no_grad()
def recompute_(model: nn.Module) -> None:
    """In place: compute anew what hooks leave in modules, as pruning, weight norm and spectral norm of torch do.

    They compute it before each forward pass, but sizes are read from it earlier.
    """
    for module in model.modules():
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, BasePruningMethod | WeightNorm):
                hook(module, ())
            elif isinstance(hook, SpectralNorm):
                weight = hook.compute_weight(module, do_power_iteration=False)
                setattr(module, hook.name, weight)


def own_tensors(module: nn.Module) -> Iterator[Tensor]:
    """Yield the tensors that belong to a module itself, with those that its parametrisations compute them from."""
    parts = [module, *(part for each in _parametrised(module) for part in each.modules())]
    for part in parts:
        yield from part.parameters(recurse=False)
        yield from part.buffers(recurse=False)


def parametrisations(model: nn.Module) -> dict[str, str]:
    """Return what computes the weights of modules that `torch.nn.utils.parametrize` changed, by their names."""
    return {
        name: ", ".join(
            type(each).__name__ for parts in _parametrised(module) for each in parts.children()
        )
        for name, module in model.named_modules()
        if parametrize.is_parametrized(module)
    }


def _parametrised(module: nn.Module) -> list[nn.Module]:
    """Return the lists of parametrisations of a module, one for each of its tensors that has any."""
    if not parametrize.is_parametrized(module):
        return []
    assert isinstance(module.parametrizations, nn.ModuleDict)
    return list(module.parametrizations.values())


def layer_of(parameter: str) -> str:
    """Return the name of the layer that a parameter belongs to, without the machinery that may compute its weight.

    Example:
        >>> layer_of("block.fc1.weight"), layer_of("fc1.parametrizations.weight.original0"), layer_of("scale")
        ('block.fc1', 'fc1', 'scale')
    """
    layer, _, machinery = parameter.partition(".parametrizations.")
    return layer if machinery else parameter.rpartition(".")[0] or parameter
