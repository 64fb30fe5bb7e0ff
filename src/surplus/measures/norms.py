"""Norms: how long the weight vectors of a layer's units are."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from surplus.base import register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, per_layer


@register("norms")
@dataclass(frozen=True, kw_only=True, slots=True)
class Norms(Measure):
    """State the Euclidean norm of each unit's incoming weights, and how norms spread within a layer.

    Units that training never needed keep the short vectors of their initialisation, and what is pruned first by
    magnitude is what is short. Units that were removed are left out; their number is not.

    Reference: heitmann2020sources, norms within the components of the similarity graph; li2017pruning, Section 3.1.
    """

    references: ClassVar = ("heitmann2020sources", "li2017pruning")

    each_unit: bool = True
    """Whether every unit's norm is stated too."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield mean, least and greatest norm, their coefficient of variation, and the norms."""
        return per_layer(seen.names, lambda name: self._layer(seen, name))

    def _layer(self, seen: Observed, name: str) -> Iterator[Finding]:
        index = seen.kept(name).nonzero()[:, 0]
        if len(index) == 0:
            raise Untreated("none of its units is kept")
        norms = seen.weight_vectors(name)[index].norm(dim=1)
        mean = float(norms.mean())
        yield Finding(quantity="mean_norm", value=mean, n=len(index))
        yield Finding(quantity="least_norm", value=float(norms.min()))
        yield Finding(quantity="greatest_norm", value=float(norms.max()))
        # Of zeros alone nothing varies.
        variation = float(norms.std(correction=0)) / mean if mean > 0 else 0.0
        yield Finding(quantity="norm_variation", value=variation)
        if self.each_unit:
            for unit, norm in zip(index.tolist(), norms.tolist(), strict=True):
                yield Finding(quantity="norm", value=norm, unit=unit)
