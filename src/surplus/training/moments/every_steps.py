"""Moments at every so many steps."""

from collections.abc import Iterable
from dataclasses import dataclass

from surplus.base import Clock, InvalidArgument, Moments, register


@register("every-steps")
@dataclass(frozen=True, kw_only=True, slots=True)
class EverySteps(Moments):
    """Step 0, every `every` steps, and the end.

    Reference: own; decisions/0003-moments.md.

    Example:
        >>> sorted(set(EverySteps(every=10).steps(Clock(num_steps=25, steps_per_epoch=5))))
        [0, 10, 20, 25]
    """

    every: int = 100
    """The number of steps between two moments."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InvalidArgument(f"`every` is {self.every}; it must be at least 1.")

    def steps(self, clock: Clock) -> Iterable[int]:
        """Return the chosen steps."""
        return (*range(0, clock.num_steps + 1, self.every), clock.num_steps)
