"""Taps: seeing the output of named modules while a model runs, without leaving a trace."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def tapped(model: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Within the context, each run of the model leaves the outputs of the named modules in the yielded dictionary.

    The hooks are removed when the context ends, whatever happens in it.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
        >>> with tapped(net, ["1"]) as seen:
        ...     _ = net(torch.ones(5, 2))
        >>> seen["1"].shape, len(net[1]._forward_hooks)
        (torch.Size([5, 3]), 0)
    """
    seen: dict[str, Tensor] = {}

    def keeper(name: str) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
            seen[name] = output

        return keep

    with ExitStack() as stack:
        for name in names:
            handle = model.get_submodule(name).register_forward_hook(keeper(name))
            stack.callback(handle.remove)
        yield seen
