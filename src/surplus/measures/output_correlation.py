"""How strongly the outputs of a layer's units vary together."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from surplus.base import register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, per_layer


@register("output-correlation")
@dataclass(frozen=True, kw_only=True, slots=True)
class OutputCorrelation(Measure):
    """State Pearson's correlation of the outputs of each pair of units of a layer, after their activation function.

    Every example, or every position of one, is a row. Units that never change have no correlation: they are counted
    and left out. The nearest partner of a unit is the one with the largest |r|.

    Reference: casper2021frivolous, and its code (get_redundancy.py).
    There a threshold on |r| is all that is used of it (see `RepeatedUnits`); its distribution is stated here.
    """

    references: ClassVar = ("casper2021frivolous",)
    needs: ClassVar = ("weights", "activations")

    quantiles: tuple[float, ...] = (0.05, 0.25, 0.5, 0.75, 0.95)
    """Which quantiles of the correlations to state."""
    partners: bool = False
    """Whether to name each unit's nearest partner, one finding for each unit."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield means and quantiles over all pairs, and over the nearest partners."""
        return per_layer(seen.names, lambda name: self._layer(seen, name))

    def _layer(self, seen: Observed, name: str) -> Iterator[Finding]:
        comoments = seen.comoments(name)
        n = comoments.num_examples
        kept = seen.kept(name)
        correlation = comoments.correlation
        varies = (correlation.diagonal() > 0) & kept
        yield Finding(quantity="num_constant", value=int((kept & ~varies).sum()), n=n)
        if int(varies.sum()) < 2:
            raise Untreated("fewer than two of its units ever change on these data")
        units = varies.nonzero()[:, 0]
        within = correlation[units][:, units]
        rows, columns = torch.triu_indices(len(units), len(units), 1)
        pairs = within[rows, columns]
        yield Finding(quantity="mean_correlation", value=float(pairs.mean()), n=n)
        yield Finding(quantity="mean_absolute_correlation", value=float(pairs.abs().mean()), n=n)
        for at, value in self._quantiles(pairs.numpy()):
            yield Finding(quantity="correlation_quantile", value=value, at=at, n=n)
        sizes = within.abs().fill_diagonal_(-1.0)
        largest, partner = sizes.max(1)
        yield Finding(quantity="mean_nearest_correlation", value=float(largest.mean()), n=n)
        for at, value in self._quantiles(largest.numpy()):
            yield Finding(quantity="nearest_correlation_quantile", value=value, at=at, n=n)
        if self.partners:
            for place, (unit, other) in enumerate(zip(units, units[partner], strict=True)):
                yield Finding(
                    quantity="nearest_correlation",
                    value=float(within[place, partner[place]]),
                    unit=int(unit),
                    n=n,
                    note=f"with unit {int(other)}",
                )

    def _quantiles(self, values: np.ndarray) -> Iterator[tuple[float, float]]:
        for at, value in zip(self.quantiles, np.quantile(values, self.quantiles), strict=True):
            yield at, float(value)
