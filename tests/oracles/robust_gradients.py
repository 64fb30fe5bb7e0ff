"""Robust gradients in obvious loops: one example after another, sorted coordinate by coordinate."""

import statistics

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def of_examples(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the gradient of each example's loss, one flat row for each."""
    rows = []
    for place in range(len(inputs)):
        loss = F.cross_entropy(model(inputs[place : place + 1]), targets[place : place + 1])
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        rows.append(torch.cat([each.flatten() for each in gradients]))
    return torch.stack(rows)


def winsorised(rows: Tensor, num_clipped: int) -> Tensor:
    """Return the mean of each coordinate, its values clipped to the extremes of the rest."""
    found = []
    for values in rows.T.tolist():
        ordered = sorted(values)
        low, high = ordered[num_clipped], ordered[len(ordered) - 1 - num_clipped]
        clipped = [min(max(value, low), high) for value in values]
        found.append(sum(clipped) / len(clipped))
    return torch.tensor(found, dtype=rows.dtype)


def median(rows: Tensor) -> Tensor:
    """Return the median of each coordinate."""
    return torch.tensor([statistics.median(values) for values in rows.T.tolist()], dtype=rows.dtype)


def median_of_three(rows: Tensor) -> Tensor:
    """Return the median of the means of three groups of consecutive rows, as equal as can be."""
    count = len(rows)
    groups = [rows[place * count // 3 : (place + 1) * count // 3] for place in range(3)]
    return median(torch.stack([group.mean(0) for group in groups]))
