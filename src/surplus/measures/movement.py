"""Movement: which units training turned, and which it left where they were."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from surplus.base import InvalidArgument, register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.present import present
from surplus.measures.untreated import Untreated, per_layer
from surplus.passes.geometry import directions


@register("movement")
@dataclass(frozen=True, kw_only=True, slots=True)
class Movement(Measure):
    """State the cosine of each unit's weights with those at its initialisation, and how many units hardly moved.

    A unit hardly moved if |w - w_0| <= cut_off |w_0|: it learnt next to nothing, whatever its cosine rounds to. In
    wide layers many units stay where they were, and can be removed.

    Reference: heitmann2020sources, the units whose norm is that of their initialisation.
    The report looks at norms; here a unit that turned at the same norm has moved.
    """

    references: ClassVar = ("heitmann2020sources",)
    needs: ClassVar = ("weights", "init_weights")

    cut_off: float = 0.1
    """Up to which share of its initial norm a unit counts as hardly moved."""
    each_unit: bool = True
    """Whether every unit's cosine is stated too."""

    def __post_init__(self) -> None:
        if self.cut_off < 0:
            raise InvalidArgument(f"`cut_off` is {self.cut_off}; it must be 0 or more.")

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield mean, median and least cosine, the median relative movement, and the share that hardly moved."""
        return per_layer(seen.names, lambda name: self._layer(seen, name))

    def _layer(self, seen: Observed, name: str) -> Iterator[Finding]:
        start = seen.initial_vectors(name)
        index = present(seen, name, least=1)
        index = index[start[index].norm(dim=1) > 0]
        if len(index) == 0:
            raise Untreated("all its units began with weights of zero")
        W, start = seen.weight_vectors(name)[index], start[index]
        cosines = (directions(W) * directions(start)).sum(1).clamp(-1, 1)
        moved = (W - start).norm(dim=1) / start.norm(dim=1)
        unmoved = int((moved <= self.cut_off).sum())
        yield Finding(quantity="mean_cosine_with_start", value=float(cosines.mean()), n=len(index))
        yield Finding(quantity="median_cosine_with_start", value=float(cosines.quantile(0.5)))
        yield Finding(quantity="least_cosine_with_start", value=float(cosines.min()))
        yield Finding(quantity="median_relative_movement", value=float(moved.quantile(0.5)))
        yield Finding(quantity="num_unmoved", value=unmoved, n=len(index))
        yield Finding(quantity="share_unmoved", value=unmoved / len(index), n=len(index))
        if self.each_unit:
            for unit, cosine in zip(index.tolist(), cosines.tolist(), strict=True):
                yield Finding(quantity="cosine_with_start", value=cosine, unit=unit)
