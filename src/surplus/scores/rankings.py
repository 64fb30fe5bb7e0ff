"""Scores that follow removals: from a matrix over pairs, or computed anew."""

from typing import TYPE_CHECKING, final

from jaxtyping import Float
from torch import Tensor

from surplus.masks.scores import check_numbers
from surplus.scores.layer import Layer

if TYPE_CHECKING:
    from surplus.scores.score import Score


@final
class PairSums:
    """Each unit's score is a sum over the units that are left: O(units) per removal from one matrix."""

    def __init__(self, pairs: Float[Tensor, "units units"], layer: Layer) -> None:
        self._pairs = pairs.double()
        self._left = layer.kept.to(pairs.device).clone()
        self.scores = self._pairs[:, self._left].sum(1)

    def remove(self, unit: int) -> None:
        """Take one unit out of every sum."""
        self._left[unit] = False
        self.scores = self.scores - self._pairs[:, unit]


@final
class PairMeans:
    """As `PairSums`, divided by the number of other units that are left."""

    def __init__(self, pairs: Float[Tensor, "units units"], layer: Layer) -> None:
        self._sums = PairSums(pairs, layer)
        self._left = int(layer.kept.sum())

    @property
    def scores(self) -> Float[Tensor, " units"]:
        """The means now."""
        return self._sums.scores / max(1, self._left - 1)

    def remove(self, unit: int) -> None:
        """Take one unit out of every mean."""
        self._sums.remove(unit)
        self._left -= 1


@final
class Reevaluated:
    """Scores that are computed anew from what is left, when they are next asked for."""

    def __init__(self, score: "Score", layer: Layer) -> None:
        self._score = score
        self._layer = layer
        self._scores: Float[Tensor, " units"] | None = None

    @property
    def scores(self) -> Float[Tensor, " units"]:
        """The scores now."""
        if self._scores is None:
            self._scores = self._score.score(self._layer)
        return self._scores

    def remove(self, unit: int) -> None:
        """Take one unit out."""
        self._layer = self._layer.without(unit)
        self._scores = None


def order_of_removal(score: "Score", layer: Layer, *, highest: bool = False) -> list[int]:
    """Return the units in the order in which a criterion removes them, one by one, greedily.

    Args:
        score: The criterion; it is re-evaluated after each removal if it depends on what is left.
        layer: The layer; only units that are still there are removed.
        highest: Remove what the criterion wants most to keep, instead of what it wants least.

    Raises:
        InvalidArgument: the criterion gave NaN.
    """
    ranking = score.start(layer)
    left = layer.kept.clone()
    order = []
    for _ in range(int(left.sum())):
        remaining = left.nonzero()[:, 0]
        values = ranking.scores.detach().double().cpu()[remaining]
        check_numbers(values, repr(score), layer.name)
        unit = int(remaining[values.argmax() if highest else values.argmin()])
        order.append(unit)
        left[unit] = False
        ranking.remove(unit)
    return order
