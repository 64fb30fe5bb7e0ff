"""Moments that grow sparser as the run goes on."""

from collections.abc import Iterable
from dataclasses import dataclass

from surplus.base import Clock, InvalidArgument, Moments, register


@register("log-spaced")
@dataclass(frozen=True, kw_only=True, slots=True)
class LogSpaced(Moments):
    """Step 0, then `per_decade` steps between each power of ten and the next, and the end.

    Reference: own; decisions/0003-moments.md.

    Example:
        >>> sorted(set(LogSpaced(per_decade=2).steps(Clock(num_steps=120, steps_per_epoch=5))))
        [0, 1, 3, 10, 32, 100, 120]
    """

    per_decade: int = 10
    """The number of moments per factor of ten."""

    def __post_init__(self) -> None:
        if self.per_decade < 1:
            raise InvalidArgument(f"`per_decade` is {self.per_decade}; it must be at least 1.")

    def steps(self, clock: Clock) -> Iterable[int]:
        """Return the chosen steps."""
        chosen = {0, clock.num_steps}
        number = 0
        while (step := round(10 ** (number / self.per_decade))) <= clock.num_steps:
            chosen.add(step)
            number += 1
        return sorted(chosen)
