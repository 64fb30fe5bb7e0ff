"""Residuals: how much of each unit's weights lies outside the subspace that the layer's strong units span."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor

from surplus.base import InvalidArgument, register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, per_layer
from surplus.passes.geometry import leading_subspace, relative_residuals


@register("residuals")
@dataclass(frozen=True, kw_only=True, slots=True)
class Residuals(Measure):
    """State what share of each weight vector lies outside the trained subspace, selected and unselected units apart.

    Selected are the units that a mask keeps, or, where no mask speaks of the layer, those whose norm is above `cut_off`
    times the mean norm. The trained subspace is spanned by the leading `rank` right singular vectors of the selected
    rows. A unit inside it has residual 0, one orthogonal to it 1, and a random direction of n inputs sqrt(1 - rank / n)
    in root mean square: unselected units that lie there never left their initialisation. The subspace was fitted to the
    selected units, so theirs is the smaller residual by construction.

    Reference: heitmann2020sources, the low-rank structure of the first dense layer, fitted to rows above a norm.
    """

    references: ClassVar = ("heitmann2020sources",)

    rank: int = 10
    """How many singular vectors span the subspace."""
    cut_off: float = 1.0
    """Without a mask: selected units have norms above this share of the mean norm."""
    each_unit: bool = False
    """Whether every unit's residual is stated too."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise InvalidArgument(f"`rank` is {self.rank}; it must be at least 1.")
        if self.cut_off < 0:
            raise InvalidArgument(f"`cut_off` is {self.cut_off}; it must be 0 or more.")

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the residuals of the selected and of the unselected units, and what random directions have."""
        return per_layer(seen.names, lambda name: self._layer(seen, name))

    def _layer(self, seen: Observed, name: str) -> Iterator[Finding]:
        W = seen.weight_vectors(name)
        norms = W.norm(dim=1)
        selected = self._selected(seen, name, norms) & (norms > 0)
        basis = leading_subspace(W[selected], self.rank)
        fan_in, rank = basis.shape
        if rank == 0:
            raise Untreated("no unit that is selected has weights other than zero")
        if rank == fan_in:
            raise Untreated(
                f"the selected units lead in all {fan_in} directions of its inputs: choose a `rank` below that"
            )
        yield Finding(quantity="subspace_rank", value=rank)
        yield Finding(quantity="random_residual", value=(1 - rank / fan_in) ** 0.5)
        residuals = relative_residuals(W, basis)
        yield from self._summary("selected", residuals, selected)
        yield from self._summary("unselected", residuals, ~selected & (norms > 0))

    def _selected(
        self, seen: Observed, name: str, norms: Float[Tensor, " units"]
    ) -> Bool[Tensor, " units"]:
        if seen.mask is not None and seen.mask.over == "units" and name in seen.mask.kept:
            return seen.kept(name)
        return norms > self.cut_off * norms.mean()

    def _summary(
        self, which: str, residuals: Float[Tensor, " units"], chosen: Bool[Tensor, " units"]
    ) -> Iterator[Finding]:
        index = chosen.nonzero()[:, 0]
        yield Finding(quantity=f"num_{which}", value=len(index))
        own = residuals[index]
        if len(index):
            mean = float(own.square().mean().sqrt())
            yield Finding(quantity=f"{which}_residual", value=mean, n=len(index))
            yield Finding(quantity=f"median_{which}_residual", value=float(own.quantile(0.5)))
            yield Finding(quantity=f"greatest_{which}_residual", value=float(own.max()))
        else:
            note = f"no {which} unit has weights other than zero"
            yield Finding(quantity=f"{which}_residual", value=None, note=note)
        if self.each_unit:
            for unit, value in zip(index.tolist(), own.tolist(), strict=True):
                yield Finding(quantity=f"{which}_residual", value=value, unit=unit)
