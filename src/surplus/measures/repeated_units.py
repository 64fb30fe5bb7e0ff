"""Repeated units: how many units of a layer do what others do."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from surplus.base import register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, per_layer
from surplus.passes import linked
from surplus.passes.statistics import ClassSums, Comoments


@register("repeated-units")
@dataclass(frozen=True, kw_only=True, slots=True)
class RepeatedUnits(Measure):
    """Count the units whose outputs others repeat, and the directions that their outputs take.

    The similarity of a unit is the number of *other* units with |r| >= `threshold`, r being Pearson's correlation of
    outputs after the activation function over all examples, or all positions of all examples. The PCA width is the
    number of principal components that hold a share of the variance. Selectivity is (a - b) / (a + b), a the largest
    mean over a class, b the mean over all examples of other classes; only of units that are never negative.

    Units with |r| >= `strict_threshold` hang together in groups: one unit of a group, scaled and shifted, can nearly
    stand in for another. Units that never change are counted and left out of everything else.

    Reference: casper2021frivolous, and its code (get_redundancy.py); decisions/0015-strict-repetition.md for the
    strict threshold.
    """

    references: ClassVar = ("casper2021frivolous",)
    needs: ClassVar = ("weights", "activations", "firing", "labels")

    threshold: float = 0.5
    """The least |r| of similar units, as published."""
    strict_threshold: float = 0.98
    """The least |r| of units that repeat each other."""
    shares: tuple[float, ...] = (0.95, 0.8)
    """Which shares of the variance the principal components have to hold."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield similarity, PCA widths and selectivity of each layer, and the group of each unit that is in one."""
        return per_layer(seen.names, lambda name: self._layer(seen, name))

    def _layer(self, seen: Observed, name: str) -> Iterator[Finding]:
        comoments = seen.comoments(name)
        n = comoments.num_examples
        kept = seen.kept(name)
        correlation = comoments.correlation.abs()
        varies = (correlation.diagonal() > 0) & kept
        yield Finding(quantity="num_constant", value=int((kept & ~varies).sum()), n=n)
        if not varies.any():
            raise Untreated("none of its units ever changes on these data")
        units = varies.nonzero()[:, 0]
        within = correlation[units][:, units].fill_diagonal_(0.0)
        similar = (within >= self.threshold).sum(1)
        yield Finding(quantity="mean_similarity", value=float(similar.double().mean()), n=n)
        yield Finding(quantity="greatest_similarity", value=int(similar.max()), n=n)
        yield Finding(quantity="num_similar", value=int((similar > 0).sum()), n=n)
        yield from self._groups(within, units.tolist(), n)
        yield from self._widths(comoments, varies)
        yield from _selectivity(seen, name, varies)

    def _groups(
        self, within: Float[Tensor, "units units"], units: list[int], n: int
    ) -> Iterator[Finding]:
        groups = linked(within >= self.strict_threshold)
        repeated = sum(len(group) for group in groups)
        yield Finding(quantity="num_repeated", value=repeated, n=n)
        yield Finding(quantity="num_groups", value=len(groups), n=n)
        yield Finding(quantity="num_repeats", value=repeated - len(groups), n=n)
        for number, group in enumerate(groups):
            for place in group:
                yield Finding(quantity="group", value=number, unit=units[place], n=n)

    def _widths(self, comoments: Comoments, varies: Bool[Tensor, " units"]) -> Iterator[Finding]:
        covariance = comoments.covariance[varies][:, varies]
        held = torch.linalg.eigvalsh(covariance).flip(0).clamp_min(0).cumsum(0)
        for share in self.shares:
            # Rounding may leave the last sum below the whole.
            width = int((held < share * held[-1] * (1 - 1e-12)).sum()) + 1
            yield Finding(quantity="pca_width", value=width, at=share, n=comoments.num_examples)


def _selectivity(seen: Observed, name: str, varies: Bool[Tensor, " units"]) -> Iterator[Finding]:
    if bool((seen.outputs(name).smallest < 0).any()):
        note = "its units emit negative values, for which selectivity is not defined"
        yield Finding(quantity="mean_selectivity", value=None, note=note)
        return
    try:
        sums = seen.class_sums(name)
    except Untreated as reason:
        yield Finding(quantity="mean_selectivity", value=None, note=str(reason))
        return
    values = selectivities(sums)[varies]
    n = int(sums.counts.sum())
    yield Finding(quantity="mean_selectivity", value=float(values.mean()), n=n)
    yield Finding(quantity="greatest_selectivity", value=float(values.max()), n=n)


def selectivities(sums: ClassSums) -> Float[Tensor, " units"]:
    """Return each unit's selectivity; 0 for one that is silent, or where there is one class alone."""
    there = sums.counts > 0
    totals, counts = sums.sums[there], sums.counts[there]
    largest, best = (totals / counts[:, None]).max(0)
    others = (totals.sum(0) - totals.gather(0, best[None])[0]) / (counts.sum() - counts[best])
    both = largest + others
    return torch.where(both > 0, (largest - others) / both, 0.0)
