"""Cosines: how alike the directions of a layer's units are, pair by pair."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.present import present
from surplus.measures.untreated import per_layer
from surplus.passes.geometry import directions, nearest, pair_cosines


@register("cosines")
@dataclass(frozen=True, kw_only=True, slots=True)
class Cosines(Measure):
    r"""State the cosines of all pairs of weight vectors, and each unit's nearest neighbour.

    Signed and unsigned: under a rectifier two opposite units are not alike, since where one fires the other is silent,
    and only a signed neighbour can be merged; for odd activation functions opposite units are one unit. Independent
    directions in n dimensions have root mean square 1 / sqrt(n) and mean absolute Gamma(n / 2) / (sqrt(pi)
    Gamma((n + 1) / 2)). Units without weights have no direction and are left out.

    Reference: heitmann2020sources, its inner-product variant of the frame potential (the mean absolute cosine).
    """

    references: ClassVar = ("heitmann2020sources",)

    each_unit: bool = True
    """Whether every unit's nearest neighbour is stated too."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the means over pairs, what random directions have, the extremes, and the neighbours."""
        return per_layer(seen.names, lambda name: self._layer(seen, name))

    def _layer(self, seen: Observed, name: str) -> Iterator[Finding]:
        index = present(seen, name)
        rows = directions(seen.weight_vectors(name)[index])
        pairs, fan_in = pair_cosines(rows), rows.shape[1]
        yield Finding(quantity="mean_cosine", value=pairs.mean, n=pairs.num_pairs)
        yield Finding(quantity="mean_absolute_cosine", value=pairs.mean_absolute)
        yield Finding(quantity="root_mean_square_cosine", value=pairs.root_mean_square)
        log_ratio = math.lgamma(fan_in / 2) - math.lgamma((fan_in + 1) / 2)
        random = math.exp(log_ratio) / math.sqrt(math.pi)
        yield Finding(quantity="random_mean_absolute_cosine", value=random)
        yield Finding(quantity="random_root_mean_square_cosine", value=fan_in**-0.5)
        yield Finding(quantity="least_cosine", value=pairs.least)
        yield Finding(quantity="greatest_cosine", value=pairs.greatest)
        yield from self._neighbours("cosine", rows, index.tolist(), signed=True)
        yield from self._neighbours("absolute_cosine", rows, index.tolist(), signed=False)

    def _neighbours(
        self, quantity: str, rows: Float[Tensor, "units fan_in"], units: list[int], signed: bool
    ) -> Iterator[Finding]:
        values, places = nearest(rows, signed)
        yield Finding(quantity=f"mean_nearest_{quantity}", value=float(values.mean()))
        if self.each_unit:
            found = zip(units, values.tolist(), places.tolist(), strict=True)
            for unit, value, place in found:
                note = f"unit {units[place]}"
                yield Finding(quantity=f"nearest_{quantity}", value=value, unit=unit, note=note)
