"""What a network costs: parameters, multiply-accumulates, bytes in a file, time per batch."""

import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits import to_raw
from surplus.store.bundle import pack
from surplus.units import evaluating


class Latency(NamedTuple):
    """Wall time of one forward pass, in milliseconds: the median and the quartiles of the rounds."""

    median: float
    lower: float
    upper: float
    num_rounds: int


def num_parameters(model: nn.Module) -> int:
    """Return how many parameter entries a model has, zero or not."""
    return sum(parameter.numel() for parameter in model.parameters())


def num_macs(model: nn.Module, example: Shaped[Tensor, "batch ..."]) -> int:
    """Return the multiply-accumulates that dense and convolutional layers spend on one example.

    Example:
        >>> num_macs(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), torch.zeros(5, 4))
        18
    """
    total = 0

    def count(module: Any, inputs: Any, output: Tensor) -> None:
        nonlocal total
        per_output = module.weight[
            0
        ].numel()  # inputs of one output: in / groups, times the kernel's area
        total += per_output * (output.numel() // len(output))

    with torch.no_grad(), evaluating(model), ExitStack() as stack:
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
                stack.callback(module.register_forward_hook(count).remove)
        model(example)
    return total


def file_bytes(model: nn.Module) -> int:
    """Return how many bytes the model takes as a safetensors bundle."""
    return len(pack({name: to_raw(tensor) for name, tensor in model.state_dict().items()}, {}))


@torch.no_grad()
def latencies(
    models: Sequence[nn.Module], example: Shaped[Tensor, "batch ..."], num_rounds: int = 30
) -> list[Latency]:
    """Time the models side by side: one forward pass of each per round, so that a busy machine hits all alike.

    Args:
        models: Used in evaluation mode.
        example: The batch that each pass runs on.
        num_rounds: How many rounds are timed, after three that are not.

    Raises:
        InvalidArgument: fewer than two rounds, of which no spread can be told.
    """
    if num_rounds < 2:
        raise InvalidArgument(f"`num_rounds` is {num_rounds}; a spread needs at least 2.")
    times: list[list[float]] = [[] for _ in models]
    with ExitStack() as stack:
        for model in models:
            stack.enter_context(evaluating(model))
        for round_ in range(num_rounds + 3):
            for place, model in enumerate(models):
                begun = time.perf_counter()
                model(example)
                if example.is_cuda:
                    torch.cuda.synchronize()
                if round_ >= 3:
                    times[place].append(1000 * (time.perf_counter() - begun))
    found = []
    for each in times:
        lower, median, upper = statistics.quantiles(each, n=4)
        found.append(Latency(median, lower, upper, num_rounds))
    return found
