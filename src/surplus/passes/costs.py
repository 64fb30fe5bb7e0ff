"""What a network costs: parameters, multiply-accumulates, bytes in a file, time per batch."""

import statistics
import time
import weakref
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from surplus.base import InvalidArgument
from surplus.edits import example_for, to_raw
from surplus.store.bundle import pack
from surplus.units import evaluating, plain_kernels


class Latency(NamedTuple):
    """Wall time of one forward pass, in milliseconds: the median and the quartiles of the rounds."""

    median: float
    lower: float
    upper: float
    num_rounds: int


def num_parameters(model: nn.Module) -> int:
    """Return how many parameter entries a model has, zero or not."""
    return sum(parameter.numel() for parameter in model.parameters())


@torch.no_grad()
def num_macs(model: nn.Module, example: Any) -> int:
    """Return the multiply-accumulates that a model spends on one example, counted at the operators that really run.

    Matrix products, convolutions and attention count; what is done element by element does not.

    Args:
        model: Used in evaluation mode.
        example: A tensor, a tuple of arguments, or a dictionary of keyword arguments; the first axis of its first
            tensor is the batch.

    Example:
        >>> num_macs(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.zeros(5, 4))
        18
    """
    positional, named = example_for(model, example)
    with evaluating(model), plain_kernels(model), FlopCounterMode(display=False) as counter:
        model(*positional, **named)
    return int(counter.get_total_flops()) // 2 // batch_size(example)


def batch_size(example: Any) -> int:
    """Return the length of the first axis of an example's first tensor."""
    tensors = (each for each in tree_leaves(example) if isinstance(each, Tensor) and each.dim())
    return len(next(tensors, (None,)))


@torch.no_grad()
def peak_bytes(model: nn.Module, example: Any) -> int:
    """Return the most memory that tensors made in one forward pass take at a time; the parameters are not among them.

    Counted at the operators, so it is the same on every machine; an operator's own workspace is not seen.
    """
    positional, named = example_for(model, example)
    with evaluating(model), _Memory() as memory:
        model(*positional, **named)
    return memory.peak


@final
class _Memory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages that operators return for as long as they live."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._now = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        given = {_address(each) for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)}
        result = operator(*args, **(kwargs or {}))
        for each in tree_leaves(result):
            if isinstance(each, Tensor) and (address := _address(each)) not in given | self._alive:
                storage = each.untyped_storage()
                self._alive.add(address)
                self._now += storage.nbytes()
                weakref.finalize(storage, self._forget, address, storage.nbytes())
        self.peak = max(self.peak, self._now)
        return result

    def _forget(self, address: int, num_bytes: int) -> None:
        self._alive.discard(address)
        self._now -= num_bytes


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def file_bytes(model: nn.Module) -> int:
    """Return how many bytes the model takes as a safetensors bundle."""
    return len(pack({name: to_raw(tensor) for name, tensor in model.state_dict().items()}, {}))


@torch.no_grad()
def latencies(models: Sequence[nn.Module], example: Any, num_rounds: int = 30) -> list[Latency]:
    """Time the models side by side: one forward pass of each per round, so that a busy machine hits all alike.

    Args:
        models: Used in evaluation mode.
        example: What each pass runs on: a tensor, a tuple of arguments, or a dictionary of keyword arguments.
        num_rounds: How many rounds are timed, after three that are not.

    Raises:
        InvalidArgument: fewer than two rounds, of which no spread can be told.
    """
    if num_rounds < 2:
        raise InvalidArgument(f"`num_rounds` is {num_rounds}; a spread needs at least 2.")
    times: list[list[float]] = [[] for _ in models]
    positional, named = example_for(models[0], example)
    on_cuda = next(models[0].parameters()).is_cuda
    with ExitStack() as stack:
        for model in models:
            stack.enter_context(evaluating(model))
        for round_ in range(num_rounds + 3):
            for place, model in enumerate(models):
                begun = time.perf_counter()
                model(*positional, **named)
                if on_cuda:
                    torch.cuda.synchronize()
                if round_ >= 3:
                    times[place].append(1000 * (time.perf_counter() - begun))
    found = []
    for each in times:
        lower, median, upper = statistics.quantiles(each, n=4)
        found.append(Latency(median, lower, upper, num_rounds))
    return found
