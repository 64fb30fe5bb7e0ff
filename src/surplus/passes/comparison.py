"""`compare`: one honest table of a dense, a masked and a cut network."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from surplus.base import Cell, Loss, Table
from surplus.edits import example_for
from surplus.passes.costs import (
    batch_size,
    file_bytes,
    latencies,
    num_macs,
    num_parameters,
    peak_bytes,
)
from surplus.passes.data import Data
from surplus.passes.performance import performance
from surplus.tasks.losses.cross_entropy import CROSS_ENTROPY
from surplus.units import evaluating


@torch.no_grad()
def compare(
    dense: nn.Module,
    masked: nn.Module,
    cut: nn.Module,
    example: Any,
    parts: dict[str, Data] | None = None,
    num_rounds: int = 30,
    loss: Loss = CROSS_ENTROPY,
) -> Table:
    """Return parameters, MACs, bytes, peak memory, measured latency and accuracy of three forms of a network.

    A masked network is neither smaller nor faster: its zeros are stored and multiplied like any other number.

    Args:
        dense: The network as it was.
        masked: The network with the removed units' weights at zero.
        cut: The network without them.
        example: What to count and time on: a tensor, a tuple of arguments, or a dictionary of keyword arguments. The
            size of its batch and the number of threads stand in the table.
        parts: Data to judge on, by name ("validation", "test").
        num_rounds: How often each is timed, side by side.
        loss: What they are judged by.

    Raises:
        InvalidArgument: fewer than two rounds, or data that hold no examples or no pairs of inputs and targets.
    """
    models = {"dense": dense, "masked": masked, "cut": cut}
    timed = latencies(list(models.values()), example, num_rounds)
    expected = _outputs(masked, example)
    rows: list[dict[str, Cell]] = []
    for (name, model), latency in zip(models.items(), timed, strict=True):
        found = _outputs(model, example)
        apart = [
            float((one - other).abs().max()) for one, other in zip(expected, found, strict=True)
        ]
        row: dict[str, Cell] = {
            "network": name,
            "num_parameters": num_parameters(model),
            "num_macs": num_macs(model, example),
            "num_bytes": file_bytes(model),
            "num_peak_bytes": peak_bytes(model, example),
            "latency_milliseconds": latency.median,
            "latency_lower_milliseconds": latency.lower,
            "latency_upper_milliseconds": latency.upper,
            "difference_to_masked": max(apart, default=0.0),
        }
        for part, data in (parts or {}).items():
            judged = performance(model, data, loss)
            row[f"{part}_accuracy"] = judged.accuracy
            row[f"{part}_loss"] = judged.loss
        rows.append(row)
    threads = torch.get_num_threads()
    milliseconds = f"ms, batch {batch_size(example)}, {threads} thread{'s' if threads > 1 else ''}"
    timings = [name for name in rows[0] if name.endswith("_milliseconds")]
    return Table.from_rows(rows, dict.fromkeys(timings, milliseconds))


def _outputs(model: nn.Module, example: Any) -> list[Tensor]:
    positional, named = example_for(model, example)
    with evaluating(model):
        outputs = model(*positional, **named)
    return [each.double() for each in tree_leaves(outputs) if isinstance(each, Tensor)]
