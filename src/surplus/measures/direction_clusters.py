"""Direction clusters: whether units gather around a few directions."""

from collections.abc import Iterator
from dataclasses import dataclass
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
from surplus.passes.geometry import degrees_to, directions, spherical_centres

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@register("direction-clusters")
@dataclass(frozen=True, kw_only=True, slots=True)
class DirectionClusters(Measure):
    """State how far units lie from the nearest of k directions that are fitted to them.

    K-means finds clusters in anything, the more so the fewer inputs there are. The angles therefore stand beside those
    of the same units at initialisation and of random directions of the same number and length, each with its own k
    centres from as many restarts. In the weighted version a unit counts by its norm: small ones hardly act.

    Reference: brutzkus2019larger, the experiments on filters of a convolution; dhillon2001concept, for the clusters.
    Filters are brought to unit length first, and so are the centres; the paper clusters them as they are.
    """

    references: ClassVar = ("brutzkus2019larger", "dhillon2001concept")
    needs: ClassVar = ("weights", "init_weights")

    k: int = 4
    """The number of centres."""
    num_restarts: int = 10
    """From how many beginnings the centres are sought; the best are taken."""
    num_draws: int = 5
    """How many random layers are drawn to compare with."""

    def __post_init__(self) -> None:
        if self.k < 1 or self.num_restarts < 1:
            raise InvalidArgument(
                f"`k` is {self.k} and `num_restarts` is {self.num_restarts}; both must be at least 1."
            )
        if self.num_draws < 2:
            raise InvalidArgument(
                f"`num_draws` is {self.num_draws}; an interval needs at least 2 draws."
            )

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield mean and quantiles of the angles as they are, at initialisation, and of random directions."""
        return per_layer(seen.names, lambda name: self._layer(seen, name))

    def _layer(self, seen: Observed, name: str) -> Iterator[Finding]:
        index = present(seen, name, least=1)
        W = seen.weight_vectors(name)[index]
        yield from self._angles("", W, seen.seed)
        try:
            start = seen.initial_vectors(name)[index]
            yield from self._angles("initial_", start[start.norm(dim=1) > 0], seen.seed)
        except Untreated as reason:
            yield untreated(str(reason))
        generator = torch.Generator().manual_seed(derive(seen.seed, "direction-clusters", "random"))
        means = []
        for _ in range(self.num_draws):
            drawn = directions(torch.randn(W.shape, generator=generator, dtype=torch.float64))
            means.append(float(self._degrees(drawn, None, seen.seed).mean()))
        value, lower, upper, n = mean_estimate(torch.tensor(means, dtype=torch.float64))
        yield Finding(
            quantity="random_mean_angle_degrees",
            value=value,
            lower=lower,
            upper=upper,
            n=n,
            seed=seen.seed,
        )

    def _angles(self, when: str, W: Float[Tensor, "units fan_in"], seed: int) -> Iterator[Finding]:
        if len(W) <= self.k:
            raise Untreated(
                f"{len(W)} of its units have a direction, which are not more than the {self.k} centres"
            )
        lengths, rows = W.norm(dim=1), directions(W)
        degrees = self._degrees(rows, None, seed)
        mean = float(degrees.mean())
        yield Finding(quantity=f"{when}mean_angle_degrees", value=mean, n=len(W), seed=seed)
        found = degrees.quantile(torch.tensor(QUANTILES, dtype=degrees.dtype)).tolist()
        for at, value in zip(QUANTILES, found, strict=True):
            yield Finding(quantity=f"{when}angle_degrees", value=value, at=at)
        weighted = float(lengths @ self._degrees(rows, lengths, seed) / lengths.sum())
        yield Finding(quantity=f"{when}weighted_mean_angle_degrees", value=weighted, seed=seed)

    def _degrees(
        self,
        rows: Float[Tensor, "units fan_in"],
        weights: Float[Tensor, " units"] | None,
        seed: int,
    ) -> Float[Tensor, " units"]:
        generator = torch.Generator().manual_seed(derive(seed, "direction-clusters", "restarts"))
        centres = spherical_centres(rows, self.k, self.num_restarts, generator, weights)
        return degrees_to(rows, centres)
