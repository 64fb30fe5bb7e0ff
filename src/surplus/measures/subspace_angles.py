"""Subspace angles: whether two layers, two times or two runs look at the same inputs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument, derive, register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.present import present
from surplus.measures.untreated import Untreated, per_layer, untreated
from surplus.passes import mean_estimate
from surplus.passes.geometry import leading_subspace, principal_degrees, random_degrees


@register("subspace-angles")
@dataclass(frozen=True, kw_only=True, slots=True)
class SubspaceAngles(Measure):
    """State the principal angles between the leading right singular subspaces of weights.

    Each layer is compared with itself at initialisation, with the same layer of another run if there is one, and with
    the other layers of its fan-in. Two random subspaces of a large space are nearly orthogonal and those of a small one
    are not, so what random subspaces of that size have stands beside. A layer of less than full rank has as many
    directions as its rank; one that leads in all directions has none that could be compared.

    Reference: bjorck1973numerical, Section 3; heitmann2020sources, which compares runs at rank 10.
    """

    references: ClassVar = ("bjorck1973numerical", "heitmann2020sources")
    needs: ClassVar = ("weights", "init_weights")

    rank: int = 10
    """How many leading singular vectors span a subspace."""
    num_draws: int = 20
    """How many pairs of random subspaces are drawn to compare with."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise InvalidArgument(f"`rank` is {self.rank}; it must be at least 1.")
        if self.num_draws < 2:
            raise InvalidArgument(
                f"`num_draws` is {self.num_draws}; an interval needs at least 2 draws."
            )

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the angles of each layer, and those of each pair of layers of equal fan-in."""
        spans: dict[str, Tensor] = {}
        yield from per_layer(seen.names, lambda name: self._layer(seen, name, spans))
        yield from self._pairs(spans)

    def _layer(self, seen: Observed, name: str, spans: dict[str, Tensor]) -> Iterator[Finding]:
        mine = spans[name] = self._subspace(seen, name, seen.weight_vectors(name))
        yield Finding(quantity="subspace_rank", value=mine.shape[1])
        yield from self._random(seen, *mine.shape)
        try:
            start = self._subspace(seen, name, seen.initial_vectors(name))
            yield from self._compared("from_start", mine, start)
        except Untreated as reason:
            yield untreated(str(reason))
        if seen.other is not None:
            yield from self._runs(seen, seen.other, name, mine)

    def _runs(
        self, seen: Observed, other: Observed, name: str, mine: Float[Tensor, "fan_in _"]
    ) -> Iterator[Finding]:
        if name not in other.names:
            yield untreated("the other network has no such layer")
            return
        vectors = other.weight_vectors(name)
        if vectors.shape[1] != len(mine):
            yield untreated(
                f"its units have {len(mine)} inputs, and {vectors.shape[1]} in the other network"
            )
            return
        try:
            yield from self._compared("between_runs", mine, self._subspace(other, name, vectors))
        except Untreated as reason:
            yield untreated(f"in the other network, {reason}")

    def _pairs(self, spans: Mapping[str, Tensor]) -> Iterator[Finding]:
        for (name, mine), (other, theirs) in combinations(spans.items(), 2):
            if len(mine) == len(theirs):
                for each in self._compared("between_layers", mine, theirs):
                    if each.at is None:
                        yield replace(each, layer=name, other=other)

    def _subspace(
        self, seen: Observed, name: str, vectors: Float[Tensor, "units fan_in"]
    ) -> Float[Tensor, "fan_in _"]:
        basis = leading_subspace(vectors[present(seen, name, least=1)], self.rank)
        if basis.shape[1] == 0:
            raise Untreated("all its weights are zero")
        if basis.shape[1] == len(basis):
            raise Untreated(
                f"its units have {len(basis)} inputs and lead in all these directions: choose a `rank` below that"
            )
        return basis

    def _compared(
        self, what: str, mine: Float[Tensor, "fan_in _"], theirs: Float[Tensor, "fan_in _"]
    ) -> Iterator[Finding]:
        angles = principal_degrees(mine, theirs)
        yield Finding(quantity=f"mean_angle_{what}_degrees", value=float(angles.mean()))
        yield Finding(quantity=f"least_angle_{what}_degrees", value=float(angles[0]))
        yield Finding(quantity=f"greatest_angle_{what}_degrees", value=float(angles[-1]))
        for place, angle in enumerate(angles.tolist(), start=1):
            yield Finding(quantity=f"angle_{what}_degrees", value=angle, at=float(place))

    def _random(self, seen: Observed, fan_in: int, rank: int) -> Iterator[Finding]:
        seed = derive(seen.seed, "subspace-angles", fan_in, rank)
        generator = torch.Generator().manual_seed(seed)
        drawn = random_degrees(fan_in, rank, self.num_draws, generator)
        found = {"mean": drawn.mean(1), "least": drawn[:, 0], "greatest": drawn[:, -1]}
        for which, values in found.items():
            value, lower, upper, n = mean_estimate(values)
            quantity = f"{which}_random_angle_degrees"
            yield Finding(
                quantity=quantity, value=value, lower=lower, upper=upper, n=n, seed=seen.seed
            )
