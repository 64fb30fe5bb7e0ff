"""The family of criteria: what each unit is worth."""

from abc import abstractmethod
from typing import Protocol, final, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from surplus.base import Family
from surplus.scores.layer import Layer


@runtime_checkable
class Ranking(Protocol):
    """Scores that are kept up to date while units are removed one by one."""

    @property
    def scores(self) -> Float[Tensor, " units"]:
        """The scores now; those of removed units do not matter."""
        ...

    def remove(self, unit: int) -> None:
        """Take one unit out."""
        ...


class Score(Family):
    """A criterion: ranks the units of a layer, higher = more worth keeping.

    `score` is all that a criterion must have. One whose values depend on which units are left overrides `start` as
    well, so that the ablation can follow it from removal to removal.
    """

    __slots__ = ()

    @abstractmethod
    def score(self, layer: Layer) -> Float[Tensor, " units"]:
        """Return one value per unit of the layer."""

    def start(self, layer: Layer) -> Ranking:
        """Return the scores in a form that follows removals; by default they do not change."""
        return Fixed(self.score(layer))


@final
class Fixed:
    """Scores that do not depend on which units are left."""

    def __init__(self, scores: Float[Tensor, " units"]) -> None:
        self.scores = scores

    def remove(self, unit: int) -> None:
        """Take one unit out; the others keep their scores."""
