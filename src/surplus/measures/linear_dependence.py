"""Linear dependence: units whose outputs are sums of others'."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, per_layer
from surplus.passes import num_directions, unexplained
from surplus.passes.statistics import Comoments


@register("linear-dependence")
@dataclass(frozen=True, kw_only=True, slots=True)
class LinearDependence(Measure):
    """State how much of each unit's output the other units of its layer and a constant leave unexplained.

    The residual of unit j, as a share of its variance, is 1 / (R^-1)_jj with R the correlation of outputs, after the
    activation function, over all rows. It is that of the fit to these data: with few more rows than units, even
    independent ones seem to explain each other. A unit with a small residual can be removed alone, its work being
    taken over by the others; how many can go together is the number of directions that the outputs do not have.

    The same is stated of the gradients that a loss passes back to the outputs of each weight matrix that computes the
    units. They are not centred: a unit whose gradient is a sum of others' learns nothing of its own.

    Reference: bushnaq2024degeneracy, on linear dependence of activations and of gradients.
    There dependence is exact, and counted as a rank; the gradients there are of the outputs, here of the loss.
    """

    references: ClassVar = ("bushnaq2024degeneracy",)
    needs: ClassVar = ("weights", "activations", "deltas")

    tolerance: float = 0.01
    """The greatest residual, as a share of the variance, of a unit that counts as explained."""
    rank_tolerance: float = 1e-10
    """Eigenvalues of the correlation below this share of the largest one count as none."""
    residuals: bool = False
    """Whether to state each unit's residual, one finding for each unit."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the residuals' mean and quartiles, how many units are explained, and how many can go together."""
        return per_layer(seen.names, lambda name: self._layer(seen, name))

    def _layer(self, seen: Observed, name: str) -> Iterator[Finding]:
        comoments = seen.comoments(name)
        kept = seen.kept(name)
        varies = (comoments.correlation.diagonal() > 0) & kept
        n = comoments.num_examples
        yield Finding(quantity="num_constant", value=int((kept & ~varies).sum()), n=n)
        units = varies.nonzero()[:, 0]
        _check(comoments, len(units), "units")
        correlation = comoments.correlation[units][:, units]
        yield from self._stated("", correlation, units.tolist(), None, n)
        for slot in seen.group(name).incoming:
            try:
                yield from self._gradients(seen, slot.tensor)
            except Untreated as reason:
                note = f"gradients: {reason}"
                yield Finding(quantity="untreated", value=None, other=slot.tensor, note=note)

    def _gradients(self, seen: Observed, parameter: str) -> Iterator[Finding]:
        comoments = seen.delta_comoments(parameter)
        moment = comoments.second_moment
        units = (moment.diagonal() > 0).nonzero()[:, 0]
        _check(comoments, len(units), "outputs")
        scale = moment.diagonal()[units].rsqrt()
        cosines = moment[units][:, units] * scale * scale[:, None]
        yield from self._stated(
            "gradient_", cosines, units.tolist(), parameter, comoments.num_examples
        )

    def _stated(
        self,
        of: str,
        correlation: Float[Tensor, "units units"],
        units: list[int],
        other: str | None,
        n: int,
    ) -> Iterator[Finding]:
        shares = unexplained(correlation)
        rank = num_directions(torch.linalg.eigvalsh(correlation), self.rank_tolerance)

        def stated(quantity: str, value: float | int, at: float | None = None) -> Finding:
            return Finding(quantity=quantity, value=value, other=other, at=at, n=n)

        yield stated(f"mean_{of}residual", float(shares.mean()))
        for at in (0.25, 0.5, 0.75):
            yield stated(f"{of}residual_quantile", float(shares.quantile(at)), at)
        explained = int((shares < self.tolerance).sum())
        yield stated(f"num_{of}explained", explained)
        yield stated(f"num_{of}independent_directions", rank)
        yield stated(f"num_{of}dependent_together", len(units) - rank)
        if self.residuals:
            for unit, share in zip(units, shares.tolist(), strict=True):
                yield replace(stated(f"{of}residual", share), unit=unit)


def _check(comoments: Comoments, size: int, what: str) -> None:
    if size < 2:
        raise Untreated(f"fewer than two of its {what} ever change on these data")
    if comoments.num_rows <= size:
        raise Untreated(
            f"{comoments.num_rows} rows of data explain any {size} {what} by each other: give more examples"
        )
