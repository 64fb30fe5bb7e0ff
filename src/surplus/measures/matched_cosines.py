"""Matched cosines: whether two networks hold the same units, in the same place or in another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument, derive, register
from surplus.measures.drawn import of_draws
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, per_layer, untreated
from surplus.passes.geometry import best_matching, directions


@register("matched-cosines")
@dataclass(frozen=True, kw_only=True, slots=True)
class MatchedCosines(Measure):
    """Compare the units of two networks, layer by layer, by the cosines of their incoming weights.

    In place, unit i is compared with unit i: what networks with a common start call for. Matched, each unit is compared
    with its partner in the one-to-one matching with the greatest sum of cosines: what networks of different starts call
    for, whose units come in any order. Some partner is close by chance where there are few inputs, so the same is said
    of random directions in these numbers. What training added is compared in place, as a whole: <D, D'> / (||D||
    ||D'||), where D is the layer's update. Beyond the first layer, units in another order also read their inputs in
    another order, so weights say less there than what the layers compute: see `CKA`.

    Reference: li2016convergent, Section 3.1, which matches units one to one by the correlation of their outputs.
    Here weights are matched, so that no data are needed.
    """

    references: ClassVar = ("li2016convergent", "kuhn1955hungarian")
    needs: ClassVar = ("weights",)

    num_draws: int = 3
    """How many pairs of random layers are matched to compare with."""

    def __post_init__(self) -> None:
        if self.num_draws < 1:
            raise InvalidArgument(
                f"`num_draws` is {self.num_draws}; a control needs at least 1 draw."
            )

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield mean cosines of each layer of both networks, and what random layers of its size have."""
        return per_layer(seen.names, lambda name: self._layer(seen, name))

    def _layer(self, seen: Observed, name: str) -> Iterator[Finding]:
        mine, theirs = _both(seen, name)
        W, V = _directions(mine), _directions(theirs)
        cosines = W @ V.T
        partners = best_matching(cosines)
        places = torch.arange(len(cosines))
        yield Finding(quantity="cosine_in_place", value=float(cosines.diagonal().mean()))
        yield Finding(quantity="matched_cosine", value=float(cosines[places, partners].mean()))
        yield Finding(quantity="share_in_place", value=float((partners == places).double().mean()))
        yield of_draws("random_matched_cosine", self._random(seen.seed, W), seen.seed)
        try:
            yield _update(seen, name, mine, theirs)
        except Untreated as reason:
            yield untreated(str(reason))

    def _random(self, seed: int, like: Float[Tensor, "units fan_in"]) -> list[float]:
        generator = torch.Generator().manual_seed(derive(seed, "matched-cosines", *like.shape))
        found = []
        for _ in range(self.num_draws):
            some, other = (
                directions(torch.randn(like.shape, generator=generator, dtype=like.dtype))
                for _ in range(2)
            )
            cosines = some @ other.T
            found.append(float(cosines[torch.arange(len(like)), best_matching(cosines)].mean()))
        return found


def _both(seen: Observed, name: str) -> tuple[Tensor, Tensor]:
    """Return the weight vectors of a layer in both networks.

    Raises:
        Untreated: there is no second network, or its layer is another.
    """
    if seen.other is None:
        raise Untreated(
            "it compares two networks, and no second one was given: pass `against=`, or `--against`"
        )
    if name not in seen.other.names:
        raise Untreated("the other network has no such layer")
    mine, theirs = seen.weight_vectors(name), seen.other.weight_vectors(name)
    if mine.shape != theirs.shape:
        raise Untreated(
            f"its weights are {tuple(mine.shape)}, and {tuple(theirs.shape)} in the other network"
        )
    return mine, theirs


def _directions(W: Float[Tensor, "units fan_in"]) -> Float[Tensor, "units fan_in"]:
    """Return rows of unit length.

    Raises:
        Untreated: a row has none.
    """
    if not bool(W.isfinite().all()):
        raise Untreated("some of its weights are NaN or infinite")
    if bool((W.norm(dim=1) == 0).any()):
        raise Untreated("some of its units have no weights other than zero")
    return directions(W)


def _update(
    seen: Observed,
    name: str,
    mine: Float[Tensor, "units fan_in"],
    theirs: Float[Tensor, "units fan_in"],
) -> Finding:
    """Return the cosine of what training added in both networks."""
    assert seen.other is not None
    D, E = mine - seen.initial_vectors(name), theirs - seen.other.initial_vectors(name)
    if not (D.any() and E.any()):
        raise Untreated("its weights are those of initialisation")
    return Finding(quantity="update_cosine", value=float((D * E).sum() / (D.norm() * E.norm())))
