"""Moments at every so many epochs."""

from collections.abc import Iterable
from dataclasses import dataclass

from surplus.base import Clock, InvalidArgument, Moments, register


@register("each-epoch")
@dataclass(frozen=True, kw_only=True, slots=True)
class EachEpoch(Moments):
    """Step 0, every `every` epochs, and the end.

    Reference: own; decisions/0003-moments.md.

    Example:
        >>> sorted(set(EachEpoch(every=2).steps(Clock(num_steps=25, steps_per_epoch=5))))
        [0, 10, 20, 25]
    """

    every: int = 1
    """The number of epochs between two moments."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InvalidArgument(f"`every` is {self.every}; it must be at least 1.")

    def steps(self, clock: Clock) -> Iterable[int]:
        """Return the chosen steps."""
        return (*range(0, clock.num_steps + 1, self.every * clock.steps_per_epoch), clock.num_steps)
