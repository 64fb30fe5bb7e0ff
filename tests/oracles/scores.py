"""Every criterion again, in loops that can be read off the page of its paper."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from oracles.removals import judged
from surplus.masks import Mask, enforce
from surplus.scores import Layer


def _rows(layer: Layer) -> list[list[float]]:
    weight = dict(layer.model.named_parameters())[f"{layer.name}.weight"]
    return [row.flatten().tolist() for row in weight]


def _unit(row: list[float]) -> list[float]:
    norm = math.sqrt(sum(x * x for x in row))
    return [x / norm for x in row] if norm else row


def _dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _left(layer: Layer) -> list[int]:
    return [unit for unit, kept in enumerate(layer.kept.tolist()) if kept]


def magnitude(score, layer):
    return [sum(abs(x) ** score.power for x in row) ** (1 / score.power) for row in _rows(layer)]


def frame_potential(score, layer):
    rows = [_unit(row) for row in _rows(layer)]
    return [sum(_dot(row, rows[j]) ** 2 for j in _left(layer)) for row in rows]


def frame_potential_raw(score, layer):
    rows = _rows(layer)
    return [sum(_dot(row, rows[j]) ** 2 for j in _left(layer)) for row in rows]


def inner_product(score, layer):
    rows = [_unit(row) for row in _rows(layer)]
    left = _left(layer)
    return [
        sum(abs(_dot(rows[i], rows[j])) for j in left if j != i) / max(1, len(left) - 1)
        for i in range(len(rows))
    ]


def geometric_median(score, layer):
    rows = _rows(layer)
    return [sum(math.dist(row, rows[j]) for j in _left(layer)) for row in rows]


def outgoing_norm(score, layer):
    slot = layer.group.outgoing[0]
    weight = dict(layer.model.named_parameters())[slot.tensor].detach()
    return [
        math.sqrt(sum(float(weight[:, j].square().sum()) for j in owned))
        for owned in slot.index.tolist()
    ]


def _activation(layer: Layer) -> str:
    """Return the module of a chain in which the layer's activation ends: the last before pooling or a reader."""
    names = [name for name, _ in layer.model.named_children()]
    last = layer.name
    for name in names[names.index(layer.name) + 1 :]:
        module = layer.model.get_submodule(name)
        if isinstance(module, nn.MaxPool2d | nn.Flatten | nn.Linear | nn.Conv2d):
            break
        last = name
    return last


def _outputs(layer: Layer) -> list[Tensor]:
    """Return each example's activations of the layer, [units, positions]."""
    found = []
    with torch.no_grad():
        for inputs, _ in layer.data:
            for x in inputs:
                value = x[None]
                for name, module in layer.model.named_children():
                    value = module(value)
                    if name == _activation(layer):
                        found.append(value[0].flatten(1) if value.dim() > 2 else value[0][:, None])
                        break
    return found


def mean_activation(score, layer):
    found = _outputs(layer)
    return [
        sum(float(each[i].mean()) for each in found) / len(found) for i in range(len(layer.kept))
    ]


def activation_frequency(score, layer):
    found = _outputs(layer)
    return [
        sum(float((each[i] != 0).double().mean()) for each in found) / len(found)
        for i in range(len(layer.kept))
    ]


def taylor(score, layer):
    """Take the derivative of the loss with respect to a factor on each unit's outgoing weights, at 1."""
    slot = layer.group.outgoing[0]
    masked = enforce(layer.model, Mask({layer.name: layer.kept}, "units", layer.units))
    weights = dict(masked.named_parameters())
    totals = [0.0] * len(layer.kept)
    count = 0
    for inputs, targets in layer.data:
        for x, y in zip(inputs, targets, strict=True):
            with torch.enable_grad():
                loss = F.cross_entropy(masked(x[None]), y[None])
            (gradient,) = torch.autograd.grad(loss, weights[slot.tensor])
            for unit, owned in enumerate(slot.index.tolist()):
                change = float((gradient * weights[slot.tensor].detach())[:, owned].sum())
                totals[unit] += abs(change) if score.per_example else change
            count += 1
    return [abs(total) / count for total in totals]


def _without(layer: Layer, unit: int | None) -> nn.Module:
    kept = layer.kept.clone()
    if unit is not None:
        kept[unit] = False
    return enforce(layer.model, Mask({layer.name: kept}, "units", layer.units))


def leave_one_out_loss(score, layer):
    full, _ = judged(_without(layer, None), layer.data)
    return [judged(_without(layer, unit), layer.data)[0] - full for unit in range(len(layer.kept))]


def leave_one_out_accuracy(score, layer):
    count = sum(len(targets) for _, targets in layer.data)
    _, full = judged(_without(layer, None), layer.data)
    return [
        (full - judged(_without(layer, unit), layer.data)[1]) / count
        for unit in range(len(layer.kept))
    ]
