"""The schedule that rises first."""

from dataclasses import dataclass
from typing import ClassVar

from surplus.base import Clock, InvalidArgument, Schedule, register
from surplus.training.schedules.constant import Constant


@register("warmup")
@dataclass(frozen=True, kw_only=True, slots=True)
class Warmup(Schedule):
    """Rise linearly over the first steps, times another schedule.

    Reference: goyal2017accurate, Section 2.2, "gradual warmup".
    It rises from 1 / num_steps of the amount, whatever the batch size.

    Example:
        >>> schedule = Warmup(num_steps=4)
        >>> [schedule.amount(step, Clock(100, 10)) for step in range(5)]
        [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    references: ClassVar = ("goyal2017accurate",)

    num_steps: int = 100
    """How many updates the rise takes."""
    then: Schedule = Constant()
    """The schedule that it multiplies, counted from step 0."""

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise InvalidArgument(f"`num_steps` is {self.num_steps}; a warm-up takes at least 1.")

    def amount(self, step: int, clock: Clock) -> float:
        """Return the rising share of the other schedule's amount."""
        return min(1.0, (step + 1) / self.num_steps) * self.then.amount(step, clock)
