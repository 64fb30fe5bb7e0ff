"""The naive protocol: mask the unit, run the whole network again."""

import torch
import torch.nn.functional as F
from torch import nn

from surplus.masks import Mask, enforce
from surplus.units import Units


def judged(model: nn.Module, data: list) -> tuple[float, int]:
    """Return mean cross-entropy and the number of right answers, ties to the lowest class."""
    loss, correct, count = 0.0, 0, 0
    model = model.eval()
    with torch.no_grad():
        for inputs, targets in data:
            for x, y in zip(inputs, targets, strict=True):
                outputs = model(x[None])[0]
                loss += float(F.cross_entropy(outputs[None], y[None]))
                best = max(range(len(outputs)), key=lambda c: (float(outputs[c]), -c))
                correct += best == int(y)
                count += 1
    return loss / count, correct


def curve(
    model: nn.Module, units: Units, layer: str, data: list, order: list[int]
) -> tuple[list[float], list[int]]:
    """Return losses and right answers before and after each removal of an order."""
    kept = torch.ones(units[layer].size, dtype=torch.bool)
    losses, corrects = [], []
    for unit in [None, *order]:
        if unit is not None:
            kept[unit] = False
        loss, correct = judged(enforce(model, Mask({layer: kept}, "units", units)), data)
        losses.append(loss)
        corrects.append(correct)
    return losses, corrects


def pairs(
    model: nn.Module, units: Units, layer: str, data: list
) -> dict[tuple[int, ...], tuple[float, int]]:
    """Return loss and right answers without nothing, each unit, and each two of them: (), (i,), (i, j) with i < j."""
    size = units[layer].size
    removed = [(), *((i,) for i in range(size))]
    removed += [(i, j) for i in range(size) for j in range(i + 1, size)]
    found = {}
    for gone in removed:
        kept = torch.ones(size, dtype=torch.bool)
        kept[list(gone)] = False
        found[gone] = judged(enforce(model, Mask({layer: kept}, "units", units)), data)
    return found
