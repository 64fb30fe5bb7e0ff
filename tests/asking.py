"""What the tests of single measures share: dense networks of given weights, and findings by what they say."""

import torch
from torch import Tensor, nn

from surplus.measures import Measure, Observed, findings, observed
from surplus.units import find_units

Key = tuple[str, str | None, str | None, int | None, float | None]


def dense(*weights: Tensor) -> nn.Sequential:
    """Return a chain of dense layers of these weights, in float64, with rectifiers between them."""
    layers: list[nn.Module] = []
    for weight in weights:
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False).double()
        layer.weight.data.copy_(weight)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def seen_of(measure: Measure, model: nn.Module, shape: tuple[int, ...] | None = None, **more):
    """Return what a measure sees of a model; `shape` is that of one input."""
    if shape is None:
        shape = (next(model.parameters()).shape[1],)
    example = torch.zeros(2, *shape, dtype=next(model.parameters()).dtype)
    return observed(model, find_units(model, example), (measure,), **more)


def asked(measure: Measure, seen: Observed) -> dict[Key, float | int | None]:
    """Return the findings of a measure by quantity, layer, other layer, unit and place on a curve."""
    found = {}
    for _, each in findings(seen, (measure,)):
        key = (each.quantity, each.layer, each.other, each.unit, each.at)
        assert key not in found or each.quantity == "untreated", key
        found[key] = each.value
    return found


def of_layer(measure: Measure, seen: Observed, layer: str | None = "0") -> dict[str, float]:
    """Return what a measure says of a layer as a whole, by quantity."""
    return {
        each.quantity: each.value
        for _, each in findings(seen, (measure,))
        if each.layer == layer and (each.other, each.unit, each.at) == (None, None, None)
    }


def notes(measure: Measure, seen: Observed) -> dict[str | None, str | None]:
    """Return why layers are not treated."""
    return {
        each.layer: each.note
        for _, each in findings(seen, (measure,))
        if each.quantity == "untreated"
    }
