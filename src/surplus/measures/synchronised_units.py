"""Synchronised units: rectified units that fire on the same inputs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import per_layer
from surplus.passes import linked

SATURATES = "these units also saturate, where firing alone does not make them linear"


@register("synchronised-units")
@dataclass(frozen=True, kw_only=True, slots=True)
class SynchronisedUnits(Measure):
    """Find blocks of rectified units that fire on exactly the same inputs, and blocks that nearly do.

    On these data a block of k units is one switch in front of a linear map, so its units can be mixed by any k x k
    matrix that keeps them firing together: k^2 parameters are free, k^2 - k of them beyond the scale of each unit.
    Nearly synchronised are units whose sets of inputs have a Jaccard similarity of `jaccard` or more, linked in chains;
    in those nothing is exactly free.

    Dead and always-on units fire on the same inputs trivially. They are counted apart and belong to no block; what
    goes for blocks goes for the always-on units, too, which are a linear map without a switch.

    Reference: bushnaq2024degeneracy, on synchronised nonlinearities.
    """

    references: ClassVar = ("bushnaq2024degeneracy",)
    needs: ClassVar = ("weights", "firing")

    jaccard: float = 0.99
    """The least Jaccard similarity of units that are nearly synchronised."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield how many blocks there are, exact and near, and the exact block of each unit that is in one."""
        return per_layer(seen.names, lambda name: self._layer(seen, name))

    def _layer(self, seen: Observed, name: str) -> Iterator[Finding]:
        firing = seen.firing(name)
        n = firing.num_rows
        counts = firing.together.diagonal()
        kept = seen.kept(name)
        switching = (counts > 0) & (counts < n) & kept
        units = switching.nonzero()[:, 0]
        yield Finding(quantity="num_never_firing", value=int(((counts == 0) & kept).sum()), n=n)
        yield Finding(quantity="num_always_firing", value=int(((counts == n) & kept).sum()), n=n)
        yield Finding(quantity="num_switching", value=len(units), n=n)
        similarity = jaccards(firing.together[units][:, units])
        tap = seen.group(name).tap
        saturates = tap is not None and "hardtanh" in tap.place.operator
        blocks = linked(similarity == 1)
        yield Finding(quantity="num_blocks", value=len(blocks), n=n)
        yield Finding(quantity="num_synchronised", value=sum(map(len, blocks)), n=n)
        free = sum(len(block) ** 2 - len(block) for block in blocks)
        note = SATURATES if saturates else None
        yield Finding(quantity="num_free_directions", value=free, n=n, note=note)
        for number, block in enumerate(blocks):
            for place in block:
                yield Finding(quantity="block", value=number, unit=int(units[place]), n=n)
        near = linked(similarity >= self.jaccard)
        yield Finding(quantity="num_near_blocks", value=len(near), n=n)
        yield Finding(quantity="num_nearly_synchronised", value=sum(map(len, near)), n=n)


def jaccards(together: Float[Tensor, "units units"]) -> Float[Tensor, "units units"]:
    """Return |A and B| / |A or B| of the inputs on which two units fire, exactly 1 where they are the same.

    Example:
        >>> import torch
        >>> jaccards(torch.tensor([[2.0, 1.0], [1.0, 3.0]])).tolist()
        [[1.0, 0.25], [0.25, 1.0]]
    """
    counts = together.diagonal()
    return together / (counts[:, None] + counts - together)
