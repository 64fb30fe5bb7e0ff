"""CKA: how alike the representations of two layers are."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import combinations
from typing import ClassVar, Literal

from surplus.base import register, unknown_name
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, untreated
from surplus.passes.statistics import CrossLayer, Viewed, cross_features


@register("cka")
@dataclass(frozen=True, kw_only=True, slots=True)
class CKA(Measure):
    r"""State the linear centred kernel alignment of each pair of layers: of one network, or one layer of each of two.

    CKA = ||X^T Y||_F^2 / (||X^T X||_F ||Y^T Y||_F) for centred features X and Y, from 0 to 1. It does not change when
    features are rotated or scaled as a whole; widths may differ. It is exact on all data, whatever the batches. Note
    that features of few examples look alike by chance: random ones of widths p and q on n examples have a CKA of about
    sqrt(p q) / n where n is large.

    Reference: kornblith2019similarity, Section 3.
    A filter gives one feature, its mean over positions, unless `positions` says otherwise.
    """

    references: ClassVar = ("kornblith2019similarity",)
    needs: ClassVar = ("cross_layer",)

    positions: Literal["mean", "all"] = "mean"
    """Whether a filter's mean over positions is a feature, or its output at each position."""
    modules: tuple[str, ...] = ()
    """Modules whose outputs are compared instead, by name or pattern: "layer1.*". Blocks of a residual network are
    modules, while their units are one layer, that of the stream."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the alignment of each pair; `layer` is one of the network, `other` a later one, or one of the other."""
        sides = [seen] if seen.other is None else [seen, seen.other]
        for side in sides:
            for name in side.names:
                if side.group(name).tap is None and not self.modules:
                    yield _left_out(name, "the outputs of its units never lie along one axis")
        if not any(side.names for side in sides) and not self.modules:
            return
        found, layers = self._products(sides)
        still = found.constant().tolist()
        for (_, name), constant in zip(layers, still, strict=True):
            if constant:
                yield _left_out(name, "its features never change on these data")
        squares = found.squares()
        norms = squares.diagonal().sqrt()
        usable = [place for place, constant in enumerate(still) if not constant]
        for one, other in combinations(usable, 2):
            if len(sides) == 2 and layers[one][0] == layers[other][0]:
                continue
            # Rounding may carry equal layers above one.
            value = min(float(squares[one, other] / (norms[one] * norms[other])), 1.0)
            yield Finding(
                quantity="linear_cka",
                value=value,
                layer=layers[one][1],
                other=layers[other][1],
                n=found.num_examples,
            )

    def _products(self, sides: list[Observed]) -> tuple[CrossLayer, list[tuple[int, str]]]:
        """Return the products of all layers, and the network and name of each."""
        if len(sides) == 1 and self == CKA():
            found = sides[0].features  # of the pass that serves all measures
            return found, [(0, name) for name in found.slices]
        networks = [self._view(side) for side in sides]
        found = cross_features(networks, sides[0].examples(), self.positions == "all")
        if found.refused is not None:
            raise Untreated(found.refused)
        return found, [
            (place, name)
            for place, viewed in enumerate(networks)
            for name in (*viewed.taps, *viewed.modules)
        ]

    def _view(self, side: Observed) -> Viewed:
        """Return where a network is looked at."""
        if not self.modules:
            found = {name: side.group(name).tap for name in side.names}
            taps = {name: tap for name, tap in found.items() if tap is not None}
            return Viewed(side.model, taps)
        known = [name for name, _ in side.model.named_modules() if name]
        for pattern in self.modules:
            if not any(fnmatchcase(name, pattern) for name in known):
                raise unknown_name("module", pattern, known)
        chosen = [name for name in known if any(fnmatchcase(name, each) for each in self.modules)]
        return Viewed(side.model, {}, tuple(chosen))


def _left_out(name: str, reason: str) -> Finding:
    return replace(untreated(reason), layer=name)
