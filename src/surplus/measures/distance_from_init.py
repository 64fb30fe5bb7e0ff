"""Distance from initialisation: how much of the network's capacity training used, unit by unit."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, per_layer, untreated


@register("distance-from-init")
@dataclass(frozen=True, kw_only=True, slots=True)
class DistanceFromInit(Measure):
    """State how far each unit moved and how strongly it acts: unit capacity and unit impact.

    Unit capacity is |u_i - u_i^0|, the distance of the incoming weights from their initialisation, and unit impact is
    |v_i|, the norm of the outgoing ones. Both are Frobenius distances and norms of the layer, shared out among its
    units; wider networks have more units of less capacity each. Biases do not count, as in the paper's measures.

    Reference: neyshabur2019role, Section 2.
    The paper has one hidden layer; here every layer is one, read by whatever reads it.
    """

    references: ClassVar = ("neyshabur2019role",)
    needs: ClassVar = ("weights", "init_weights")

    each_unit: bool = True
    """Whether capacity and impact of every unit are stated too."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield distances per layer and in total, their units' capacities and impacts."""
        yield from per_layer(seen.names, lambda name: self._layer(seen, name))
        yield from _total(seen)

    def _layer(self, seen: Observed, name: str) -> Iterator[Finding]:
        index = seen.kept(name).nonzero()[:, 0]
        if len(index) == 0:
            raise Untreated("none of its units is kept")
        start = seen.initial_vectors(name)[index]
        capacity = (seen.weight_vectors(name)[index] - start).norm(dim=1)
        yield Finding(quantity="distance", value=float(capacity.norm()), n=len(index))
        yield _relative(float(capacity.norm()), float(start.norm()))
        yield from self._units("unit_capacity", capacity, index.tolist())
        outgoing = seen.units.outgoing(name, seen.model).double().cpu()[index]
        # The last layer is read by nobody.
        if outgoing.shape[1]:
            yield from self._units("unit_impact", outgoing.norm(dim=1), index.tolist())

    def _units(
        self, quantity: str, values: Float[Tensor, " units"], units: list[int]
    ) -> Iterator[Finding]:
        yield Finding(quantity=f"mean_{quantity}", value=float(values.mean()), n=len(units))
        yield Finding(quantity=f"greatest_{quantity}", value=float(values.max()))
        if self.each_unit:
            for unit, value in zip(units, values.tolist(), strict=True):
                yield Finding(quantity=quantity, value=value, unit=unit)


def _total(seen: Observed) -> Iterator[Finding]:
    try:
        start = seen.initial_matrices()
    except Untreated as reason:
        yield untreated(str(reason))
        return
    pairs = [(W, start[name]) for name, W in seen.matrices().items()]
    if any(W.shape != Z.shape for W, Z in pairs):
        yield untreated("its weights had another shape at initialisation")
        return
    distance = sum(float((W - Z).square().sum()) for W, Z in pairs) ** 0.5
    yield Finding(quantity="distance", value=distance, n=len(pairs))
    yield _relative(distance, sum(float(Z.square().sum()) for _, Z in pairs) ** 0.5)


def _relative(distance: float, length: float) -> Finding:
    if length == 0:
        note = "its weights began at zero"
        return Finding(quantity="relative_distance", value=None, note=note)
    return Finding(quantity="relative_distance", value=distance / length)
