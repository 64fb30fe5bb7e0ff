"""What the tests of measures share: asking one measure, and reading what it finds."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from surplus.measures import Finding, Measure, Observed, findings, observed
from surplus.units import find_units


def seen_with(
    measure: Measure, model: nn.Module, data: Sequence[tuple[Tensor, Tensor]], **more: Any
) -> Observed:
    """Return what a measure may look at."""
    return observed(model, find_units(model, data[0][0][:2]), (measure,), list(data), **more)


def found_by(
    measure: Measure, model: nn.Module, data: Sequence[tuple[Tensor, Tensor]], **more: Any
) -> list[Finding]:
    """Return what a measure finds in a model on data."""
    return [each for _, each in findings(seen_with(measure, model, data, **more), (measure,))]


def numbers_of(found: Sequence[Finding], layer: str | None) -> dict[Any, Any]:
    """Return the numbers of a layer by quantity, or by (quantity, at) where there is a place on a curve.

    Findings about single units are left out.
    """
    return {
        each.quantity if each.at is None else (each.quantity, each.at): each.value
        for each in found
        if each.layer == layer and each.unit is None
    }


def units_of(found: Sequence[Finding], layer: str, quantity: str) -> dict[int, Any]:
    """Return what is found about single units of a layer."""
    return {
        each.unit: each.value
        for each in found
        if each.layer == layer and each.quantity == quantity and each.unit is not None
    }
