"""Small networks with the topology of real ones, written the way their authors write them.

Each file registers factories, so `ZOO[name]()` builds a model and an example input. `build` also makes
random whatever starts constant, so that nothing cancels by accident.
"""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

Factory = Callable[[], tuple[nn.Module, Any]]
ZOO: dict[str, Factory] = {}


def register(name: str) -> Callable[[Factory], Factory]:
    """Enter a factory into the zoo.

    The example it returns is a tensor, a tuple of positional or a dict of keyword inputs.
    """

    def enter(factory: Factory) -> Factory:
        if name in ZOO:
            raise ValueError(f"the zoo has two models called {name}")
        ZOO[name] = factory
        return factory

    return enter


def build(name: str, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Any]:
    """Build a model in eval mode and its example; the global random stream is left as found."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, example = ZOO[name]()
        stir_(model)

    def cast(leaf: Tensor) -> Tensor:
        return leaf.to(dtype) if leaf.is_floating_point() else leaf

    return model.to(dtype).eval(), tree_map_only(Tensor, cast, example)


@torch.no_grad()
def stir_(model: nn.Module) -> None:
    """Randomise in place the parameters that are constant and the statistics of the norms."""
    for name, parameter in model.named_parameters():
        first = parameter.flatten()[0]
        if not (parameter == first).all():
            continue
        if name.endswith("bias") or (first == 0 and not name.endswith("weight")):
            parameter.normal_(0, 0.1)
        else:
            parameter.uniform_(0.5, 1.5)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)


def run(model: nn.Module, example: Any) -> Any:
    """Call a model on its example."""
    if isinstance(example, dict):
        return model(**example)
    return model(*example) if isinstance(example, tuple) else model(example)


for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("test_"):
        importlib.import_module(f"{__name__}.{_module.name}")
