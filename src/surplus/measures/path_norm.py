"""Path norm: how much weight lies on the paths from inputs to outputs, all together."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from surplus.base import InvalidArgument, register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated
from surplus.passes import path_norm


@register("path-norm")
@dataclass(frozen=True, kw_only=True, slots=True)
class PathNorm(Measure):
    """State the sum over all paths of the product of the squared, or absolute, weights on a path.

    Rescaling a rectified unit's incoming weights by c and its outgoing ones by 1 / c changes no path and no output, so
    unlike products of norms it does not see what the network does not either. Stated as logarithms to base 10.
    It holds for rectified networks with sums, averages, maxima and batch normalisation (in evaluation mode); others are
    named with the operator that is in the way. Biases, and the shifts of normalisations, are paths that begin there.

    Reference: neyshabur2015norm, for layered networks; gonon2024path, for the others.
    """

    references: ClassVar = ("neyshabur2015norm", "gonon2024path")

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield log10 of the square root of the sum of squares, and of the sum of absolute products."""
        for power in (2, 1):
            try:
                value = path_norm(seen.model, seen.units.example, power)
            except InvalidArgument as reason:
                raise Untreated(str(reason)) from reason
            quantity = f"log10_path_{power}_norm"
            if 0 < value < math.inf:
                yield Finding(quantity=quantity, value=math.log10(value))
            else:
                note = "no path leads through" if value == 0 else "it is beyond float64"
                yield Finding(quantity=quantity, value=None, note=note)
