"""The family of moments: the steps at which something happens."""

from abc import abstractmethod
from collections.abc import Iterable

from surplus.base.clock import Clock
from surplus.base.family import Family


class Moments(Family):
    """A choice of steps: when to keep a snapshot, look with a probe, or write the training loss."""

    __slots__ = ()

    @abstractmethod
    def steps(self, clock: Clock) -> Iterable[int]:
        """Return the chosen steps in [0, `clock.num_steps`], in any order."""
