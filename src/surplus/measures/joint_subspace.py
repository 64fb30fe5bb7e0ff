"""Joint subspace: whether two networks can share the directions that a layer reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument, register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.present import present
from surplus.measures.untreated import Untreated, per_layer
from surplus.passes.geometry import leading_subspace


@register("joint-subspace")
@dataclass(frozen=True, kw_only=True, slots=True)
class JointSubspace(Measure):
    """State how much of a layer's weights in two networks lies in one subspace that is fitted to both.

    The rows of both, each network's with a Frobenius norm of one, are put one below the other; the leading k right
    singular vectors of that are the joint subspace. What it keeps of the squared norm, as the mean over both networks,
    is compared with what each keeps on its own k directions, and with what it keeps on those of the other network. If
    both look at the same directions the three are equal; if their directions are orthogonal and equally strong, the
    joint subspace keeps half, and 2k of its directions all.

    Reference: heitmann2020sources, the report's joint subspace of runs.
    The norms are made equal here, so that neither network counts for more.
    """

    references: ClassVar = ("heitmann2020sources",)

    rank: int = 10
    """The k."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise InvalidArgument(f"`rank` is {self.rank}; it must be at least 1.")

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the shares of each layer that both networks have."""
        return per_layer(seen.names, lambda name: self._layer(seen, name))

    def _layer(self, seen: Observed, name: str) -> Iterator[Finding]:
        if seen.other is None:
            raise Untreated(
                "it compares two networks, and no second one was given: pass `against=`, or `--against`"
            )
        if name not in seen.other.names:
            raise Untreated("the other network has no such layer")
        W, V = _scaled(seen, name), _scaled(seen.other, name)
        if W.shape[1] != V.shape[1]:
            raise Untreated(
                f"its units have {W.shape[1]} inputs, and {V.shape[1]} in the other network"
            )
        both = torch.cat([W, V])
        mine, theirs = leading_subspace(W, self.rank), leading_subspace(V, self.rank)
        shares = {
            "own_subspace_share": (_share(W, mine) + _share(V, theirs)) / 2,
            "other_subspace_share": (_share(W, theirs) + _share(V, mine)) / 2,
            "joint_subspace_share": _share(both, leading_subspace(both, self.rank)),
            "doubled_subspace_share": _share(both, leading_subspace(both, 2 * self.rank)),
        }
        for quantity, value in shares.items():
            yield Finding(quantity=quantity, value=value, at=float(self.rank))


def _scaled(seen: Observed, name: str) -> Float[Tensor, "units fan_in"]:
    W = seen.weight_vectors(name)[present(seen, name, least=1)]
    return W / W.norm()


def _share(W: Float[Tensor, "units fan_in"], basis: Float[Tensor, "fan_in _"]) -> float:
    """Return the share of the squared norm that lies in a subspace."""
    return float((W @ basis).square().sum() / W.square().sum())
