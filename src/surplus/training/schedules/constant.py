"""The schedule that does not change."""

from dataclasses import dataclass

from surplus.base import Clock, Schedule, register


@register("constant")
@dataclass(frozen=True, kw_only=True, slots=True)
class Constant(Schedule):
    """The full amount at every step.

    Reference: own; decisions/0007-plain-members.md.
    """

    def amount(self, step: int, clock: Clock) -> float:
        """Return 1."""
        return 1.0
