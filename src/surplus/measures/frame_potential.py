"""Frame potential: how much the directions of a layer's weight vectors overlap."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from surplus.base import register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.present import present
from surplus.measures.untreated import per_layer
from surplus.passes.geometry import (
    directions,
    frame_potential,
    frame_potential_bounds,
    signed_frame_potential,
)


@register("frame-potential")
@dataclass(frozen=True, kw_only=True, slots=True)
class FramePotential(Measure):
    r"""State ||W^ W^^T||_F^2 of each layer and its place between its bounds.

    W^ are the incoming weights at unit length; units that are zero are left out. m units of fan-in n lie between
    max(m, m^2 / n), with orthonormal rows or a tight frame, and m^2, with all rows collinear; independent uniform
    directions have m + m (m - 1) / n on average. Squares do not see signs: the signed potential, the sum of
    max(cosine, 0)^2, does; independent directions have m + m (m - 1) / (2 n) of it.

    Reference: benedetto2003finite, Section 4 and Theorem 6.2; heitmann2020sources, Section 2.
    """

    references: ClassVar = ("benedetto2003finite", "heitmann2020sources")

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the potential, its bounds, what random directions have, and the effective number of directions."""
        return per_layer(seen.names, lambda name: _layer(seen, name))


def _layer(seen: Observed, name: str) -> Iterator[Finding]:
    W = seen.weight_vectors(name)[present(seen, name)]
    size, fan_in = W.shape
    value = frame_potential(W)
    least, greatest = frame_potential_bounds(size, fan_in)
    yield Finding(quantity="frame_potential", value=value, n=size)
    yield Finding(quantity="least_frame_potential", value=least)
    yield Finding(quantity="greatest_frame_potential", value=greatest)
    yield Finding(quantity="random_frame_potential", value=size + size * (size - 1) / fan_in)
    yield Finding(quantity="frame_potential_normalised", value=value / size**2)
    # One direction leaves no room between the bounds.
    place = (value - least) / (greatest - least) if greatest > least else 1.0
    yield Finding(quantity="place_between_bounds", value=place)
    yield Finding(quantity="effective_num_directions", value=size**2 / value)
    gram = W @ W.T if size <= fan_in else W.T @ W
    yield Finding(quantity="frame_potential_raw", value=float(gram.square().sum()))
    signed = signed_frame_potential(directions(W))
    yield Finding(quantity="signed_frame_potential", value=signed)
    random = size + size * (size - 1) / (2 * fan_in)
    yield Finding(quantity="random_signed_frame_potential", value=random)
