"""The family of schedules: step -> amount."""

from abc import abstractmethod

from surplus.base.clock import Clock
from surplus.base.family import Family


class Schedule(Family):
    """An amount that changes along a run, such as the factor on the learning rate."""

    __slots__ = ()

    @abstractmethod
    def amount(self, step: int, clock: Clock) -> float:
        """Return the amount that holds for the update from `step` to `step + 1`."""
