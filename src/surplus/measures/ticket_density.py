"""Ticket density: how the weights of a ticket are shared out among units."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from surplus.base import register
from surplus.masks import Mask
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, per_layer
from surplus.passes import gini


@register("ticket-density")
@dataclass(frozen=True, kw_only=True, slots=True)
class TicketDensity(Measure):
    r"""State how many of each unit's incoming weights a mask keeps, and whether they gather in few units.

    Of m units with n weights each, K are kept in all and r_i by unit i. If the K were drawn from the whole matrix, each
    r_i would be hypergeometric, with variance n p (1 - p) (m n - n) / (m n - 1) and p = K / (m n). The dispersion index
    is the mean squared deviation of the r_i from K / m over that: 1 on average for drawn weights, far above where whole
    units live or die. The lift is how much likelier another weight of a unit is kept, given that one is, than any other
    weight. The effective number of units is K^2 / sum r_i^2, and the Gini coefficient is 0 for equal shares and near 1
    where one unit has all.

    Reference: own; decisions/0016-density-of-tickets.md.
    """

    references: ClassVar = ()

    each_unit: bool = True
    """Whether every unit's density is stated too."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield densities, empty units, and how uneven the shares are, beside what drawn weights would have."""
        if seen.mask is None or seen.mask.over == "units":
            raise Untreated(
                "it looks at which weights a mask keeps, and there is no mask over weights"
            )
        mask = seen.mask
        return per_layer(seen.names, lambda name: self._layer(seen, mask, name))

    def _layer(self, seen: Observed, mask: Mask, name: str) -> Iterator[Finding]:
        kept = _kept(seen, mask, name)
        shares = kept.sum(1).double()
        size, fan_in = kept.shape
        total = int(shares.sum())
        yield Finding(quantity="density", value=total / kept.numel(), n=kept.numel())
        yield Finding(quantity="least_unit_density", value=float(shares.min()) / fan_in)
        yield Finding(quantity="greatest_unit_density", value=float(shares.max()) / fan_in)
        yield Finding(quantity="num_empty_units", value=int((shares == 0).sum()), n=size)
        empty = size * _chance_of_none(kept.numel(), fan_in, total)
        yield Finding(quantity="random_num_empty_units", value=empty)
        yield from _unevenness(shares, fan_in, total)
        if self.each_unit:
            for unit, share in enumerate(shares.tolist()):
                yield Finding(quantity="unit_density", value=share / fan_in, unit=unit)


def _kept(seen: Observed, mask: Mask, name: str) -> Bool[Tensor, "units fan_in"]:
    """Return which incoming weights of each unit are kept; tensors that the mask does not speak of are kept whole."""
    group, shapes = seen.group(name), seen.units.shapes
    if not any(slot.tensor in mask.kept for slot in group.incoming):
        raise Untreated("the mask does not speak of its weights")
    whole = {slot.tensor: torch.ones(shapes[slot.tensor]) for slot in group.incoming}
    spoken = {tensor: each.float() for tensor, each in mask.kept.items() if tensor in whole}
    return seen.units.weight_vectors(name, {**whole, **spoken}).bool().cpu()


def _unevenness(shares: Float[Tensor, " units"], fan_in: int, total: int) -> Iterator[Finding]:
    size = len(shares)
    if total == 0:
        for quantity in ("gini", "effective_num_units", "dispersion_index", "lift"):
            yield Finding(quantity=quantity, value=None, note="none of its weights is kept")
        return
    yield Finding(quantity="gini", value=gini(shares))
    squares = float(shares.square().sum())
    yield Finding(quantity="effective_num_units", value=total**2 / squares)
    weights = size * fan_in
    density = total / weights
    expected = fan_in * density * (1 - density) * (weights - fan_in) / max(weights - 1, 1)
    if expected > 0:
        # Divided by m and not by m - 1: the mean K / m is known, not estimated.
        value = float(shares.var(correction=0)) / expected
        yield Finding(quantity="dispersion_index", value=value, n=size)
    else:
        note = "there is one unit, or all weights are kept: nothing could vary"
        yield Finding(quantity="dispersion_index", value=None, note=note)
    if fan_in > 1 and total > 1:
        again = (squares - total) / ((fan_in - 1) * total)
        yield Finding(quantity="lift", value=again * (weights - 1) / (total - 1))
    else:
        yield Finding(quantity="lift", value=None, note="no unit has a second weight to keep")


def _chance_of_none(weights: int, fan_in: int, total: int) -> float:
    """Return the chance that none of `total` drawn weights is a certain unit's, a ratio of binomial coefficients."""
    rest = weights - fan_in
    if total > rest:
        return 0.0
    logarithm = math.lgamma(rest + 1) - math.lgamma(rest - total + 1)
    logarithm += math.lgamma(weights - total + 1) - math.lgamma(weights + 1)
    return math.exp(min(logarithm, 0.0))
