"""Moments given one by one."""

from collections.abc import Iterable
from dataclasses import dataclass

from surplus.base import Clock, InvalidArgument, Moments, register


@register("at-steps")
@dataclass(frozen=True, kw_only=True, slots=True)
class AtSteps(Moments):
    """The given steps; those beyond the end are not reached.

    Reference: own; decisions/0003-moments.md.
    """

    given: tuple[int, ...] = ()
    """The steps."""

    def __post_init__(self) -> None:
        if any(step < 0 for step in self.given):
            raise InvalidArgument(f"`given` is {self.given}; steps are counted from 0.")

    def steps(self, clock: Clock) -> Iterable[int]:
        """Return the chosen steps."""
        return [step for step in self.given if step <= clock.num_steps]
