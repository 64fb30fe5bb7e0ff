"""Approach: whether the units that training used began near the subspace that they now share, or moved there."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from surplus.base import InvalidArgument, derive, register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.present import present
from surplus.measures.untreated import Untreated, per_layer
from surplus.passes import linked
from surplus.passes.geometry import directions, leading_subspace


@register("approach")
@dataclass(frozen=True, kw_only=True, slots=True)
class Approach(Measure):
    """State how close trained and untrained units lie to the trained subspace, and lay at initialisation.

    Trained are the units whose norm grew by the factor `growth` or more. The trained subspace is spanned by the leading
    `rank` right singular vectors of their weights as they are now; a unit's own vector is left out when its subspace is
    made, since a unit is close to anything that was fitted to it. Closeness is |P w| / |w|: 1 inside, 0 orthogonal, and
    sqrt(rank / n) in root mean square for random directions of n inputs. Trained units that lie within `degrees` of
    one another hang together; the share of them in the largest such component is stated, beside that of the others.

    Reference: heitmann2020sources, the trained units and the subspace that they span.
    """

    references: ClassVar = ("heitmann2020sources",)
    needs: ClassVar = ("weights", "init_weights")

    growth: float = 1.1
    """From which factor on the norm of a unit counts as grown."""
    rank: int = 10
    """How many singular vectors span the subspace."""
    degrees: float = 60.0
    """How far apart two directions may lie to be joined."""
    num_units: int | None = 50
    """How many units of each kind are looked at for closeness, drawn by the seed; None takes all."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise InvalidArgument(f"`rank` is {self.rank}; it must be at least 1.")
        if not self.growth > 0:
            raise InvalidArgument(
                f"`growth` is {self.growth}; it is a factor and must be positive."
            )
        if not 0 < self.degrees < 180:
            raise InvalidArgument(f"`degrees` is {self.degrees}; it must lie between 0 and 180.")
        if self.num_units is not None and self.num_units < 1:
            raise InvalidArgument(
                f"`num_units` is {self.num_units}; it must be at least 1, or None for all."
            )

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield how many units are trained, how close each kind is and was, and how they hang together."""
        return per_layer(seen.names, lambda name: self._layer(seen, name))

    def _layer(self, seen: Observed, name: str) -> Iterator[Finding]:
        Z = seen.initial_vectors(name)
        index = present(seen, name, least=1)
        index = index[Z[index].norm(dim=1) > 0]
        if len(index) == 0:
            raise Untreated("all its units began with weights of zero")
        W, Z = seen.weight_vectors(name)[index], Z[index]
        trained = W.norm(dim=1) >= self.growth * Z.norm(dim=1)
        n, count = len(index), int(trained.sum())
        yield Finding(quantity="num_trained", value=count, n=n)
        yield Finding(quantity="share_trained", value=count / n, n=n)
        rank = min(self.rank, max(count - 1, 0), W.shape[1])
        yield Finding(quantity="random_closeness", value=(rank / W.shape[1]) ** 0.5)
        cosines = (directions(W) * directions(Z)).sum(1).clamp(-1, 1)
        for kind, chosen in (("trained", trained), ("untrained", ~trained)):
            if not chosen.any():
                note = f"no unit is {kind}"
                yield Finding(quantity=f"{kind}_final_closeness", value=None, note=note)
                continue
            yield Finding(quantity=f"{kind}_cosine_with_start", value=float(cosines[chosen].mean()))
            yield self._largest(kind, W[chosen])
            yield from self._closeness(kind, W, Z, trained, self._drawn(chosen, seen.seed, name))

    def _largest(self, kind: str, rows: Float[Tensor, "units fan_in"]) -> Finding:
        hats = directions(rows)
        least = torch.tensor(self.degrees, dtype=hats.dtype).deg2rad().cos()
        sizes = [len(group) for group in linked(hats @ hats.T >= least)]
        quantity = f"{kind}_largest_component_share"
        return Finding(quantity=quantity, value=max(sizes, default=1) / len(rows), n=len(rows))

    def _closeness(
        self,
        kind: str,
        W: Float[Tensor, "units fan_in"],
        Z: Float[Tensor, "units fan_in"],
        trained: Bool[Tensor, " units"],
        chosen: Int[Tensor, " chosen"],
    ) -> Iterator[Finding]:
        found = []
        for unit in chosen.tolist():
            others = trained.clone()
            others[unit] = False
            if not others.any():
                note = "no other unit is trained"
                yield Finding(quantity=f"{kind}_final_closeness", value=None, note=note)
                return
            basis = leading_subspace(W[others], self.rank)
            found.append([float((row @ basis).norm() / row.norm()) for row in (Z[unit], W[unit])])
        means = torch.tensor(found, dtype=torch.float64).mean(0).tolist()
        for when, value in zip(("initial", "final"), means, strict=True):
            yield Finding(quantity=f"{kind}_{when}_closeness", value=value, n=len(found))

    def _drawn(
        self, chosen: Bool[Tensor, " units"], seed: int, name: str
    ) -> Int[Tensor, " chosen"]:
        places = chosen.nonzero()[:, 0]
        generator = torch.Generator().manual_seed(derive(seed, "approach", name))
        order = torch.randperm(len(places), generator=generator)
        return places[order[: self.num_units]]
