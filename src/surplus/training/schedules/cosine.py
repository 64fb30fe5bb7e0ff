"""The schedule that falls along a half cosine."""

import math
from dataclasses import dataclass
from typing import ClassVar

from surplus.base import Clock, Schedule, register


@register("cosine")
@dataclass(frozen=True, kw_only=True, slots=True)
class Cosine(Schedule):
    """Fall from 1 to `final` along a half cosine, without restarts.

    Reference: loshchilov2017sgdr, Equation 5.

    Example:
        >>> schedule = Cosine()
        >>> clock = Clock(num_steps=100, steps_per_epoch=10)
        >>> [round(schedule.amount(step, clock), 6) for step in (0, 50, 100)]
        [1.0, 0.5, 0.0]
    """

    references: ClassVar = ("loshchilov2017sgdr",)

    final: float = 0.0
    """The amount at the end."""

    def amount(self, step: int, clock: Clock) -> float:
        """Return the amount on the cosine."""
        share = (1 + math.cos(math.pi * step / clock.num_steps)) / 2
        return self.final + (1 - self.final) * share
