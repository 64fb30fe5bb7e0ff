"""Layers as measures of gradients see them: modules that hold parameters."""

from collections.abc import Iterable

from surplus.units import layer_of


def columns_of_layers(parameters: Iterable[str]) -> dict[str, list[int]]:
    """Return, for each module that holds parameters, the places of these among the names; a bare one is its own layer.

    Example:
        >>> columns_of_layers(["fc1.weight", "fc1.bias", "scale"])
        {'fc1': [0, 1], 'scale': [2]}
    """
    found: dict[str, list[int]] = {}
    for place, name in enumerate(parameters):
        found.setdefault(layer_of(name), []).append(place)
    return found
