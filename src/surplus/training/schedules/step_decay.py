"""The schedule that falls in steps."""

from dataclasses import dataclass
from typing import ClassVar

from surplus.base import Clock, Schedule, register


@register("step-decay")
@dataclass(frozen=True, kw_only=True, slots=True)
class StepDecay(Schedule):
    """Multiply by `factor` at each milestone.

    Reference: he2016deep, Section 4.2: a tenth at half and at three quarters of the run.

    Example:
        >>> schedule = StepDecay(milestones=(0.5, 0.75))
        >>> clock = Clock(num_steps=100, steps_per_epoch=10)
        >>> [round(schedule.amount(step, clock), 6) for step in (0, 49, 50, 75)]
        [1.0, 1.0, 0.1, 0.01]
    """

    references: ClassVar = ("he2016deep",)

    milestones: tuple[float, ...] = (0.5, 0.75)
    """When, as fractions of the whole run."""
    factor: float = 0.1
    """What is left at each milestone."""

    def amount(self, step: int, clock: Clock) -> float:
        """Return the factor to the power of the milestones passed."""
        passed = sum(step >= milestone * clock.num_steps for milestone in self.milestones)
        return self.factor**passed
