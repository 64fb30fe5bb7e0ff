"""Dead and always-on units."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool
from torch import Tensor

from surplus.base import register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import per_layer


@register("dead-units")
@dataclass(frozen=True, kw_only=True, slots=True)
class DeadUnits(Measure):
    """Count the units that never fire on the data, and those that always do.

    A rectified unit is dead if it is zero on every example and at every position. It is *statically* dead if all its
    incoming weights are zero or masked, so that no data could wake it, and *dynamically* dead otherwise; both are
    stated as shares of the layer, whose sum is its dead neuron rate. A unit that fires everywhere is always on: on
    these data it is linear. Units of other activation functions are counted as constant where they never change.

    Reference: liu2023ap, Section 3, for the static and the dynamic rate.
    Filters count as one unit each, over all positions.
    """

    references: ClassVar = ("liu2023ap",)
    needs: ClassVar = ("weights", "firing")

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the counts, the two rates, and one finding for each unit that is dead or always on."""
        return per_layer(seen.names, lambda name: _layer(seen, name))


def _layer(seen: Observed, name: str) -> Iterator[Finding]:
    outputs = seen.outputs(name)
    kept = seen.kept(name)
    still = (outputs.largest == outputs.smallest) & kept
    yield Finding(quantity="num_units", value=int(kept.sum()))
    if not seen.rectified(name):
        yield Finding(quantity="num_constant", value=int(still.sum()), n=outputs.num_positions)
        yield from _each("constant", still, outputs.num_positions)
        return
    dead = (outputs.counts == 0) & kept
    always_on = (outputs.counts == outputs.num_positions) & kept
    static = dead & _cut_off(seen, name)
    size = max(int(kept.sum()), 1)
    n = outputs.num_positions
    yield Finding(quantity="num_dead", value=int(dead.sum()), n=n)
    yield Finding(quantity="num_always_on", value=int(always_on.sum()), n=n)
    yield Finding(quantity="static_dead_rate", value=int(static.sum()) / size, n=n)
    yield Finding(quantity="dynamic_dead_rate", value=int((dead & ~static).sum()) / size, n=n)
    yield from _each("dead", dead, n)
    yield from _each("always_on", always_on, n)


def _cut_off(seen: Observed, name: str) -> Bool[Tensor, " units"]:
    """Return which units have no incoming weight left."""
    missing = seen.weight_vectors(name) == 0
    if seen.mask is not None and seen.mask.over == "weights":
        shapes, kept = seen.units.shapes, seen.mask.kept
        there = {
            slot.tensor: kept[slot.tensor].double()
            if slot.tensor in kept
            else torch.ones(shapes[slot.tensor])
            for slot in seen.group(name).incoming
        }
        missing |= seen.units.weight_vectors(name, there).cpu() == 0
    return missing.all(1)


def _each(quantity: str, chosen: Bool[Tensor, " units"], n: int) -> Iterator[Finding]:
    for unit in chosen.nonzero()[:, 0].tolist():
        yield Finding(quantity=quantity, value=1, unit=unit, n=n)
