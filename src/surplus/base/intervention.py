"""The family of interventions: what may change a run while it goes on."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, final

from surplus.base.family import Family
from surplus.base.probe import RunState


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What an intervention asks for."""

    mask: Any = None
    """The new mask (`surplus.masks.Mask`), which training keeps to from now on; None leaves it as it is."""
    weights: Mapping[str, Any] = field(default_factory=dict)
    """The new values of some parameters, by name; what the mask removes stays zero, the optimiser's state as it is."""
    record: dict[str, Any] = field(default_factory=dict)
    """What to write to the event log about the change."""


class Intervention(Family):
    """Sees the run's state before every step and may ask for a change; the loop itself stays closed."""

    __slots__ = ()

    @abstractmethod
    def intervene(self, state: RunState) -> Change | None:
        """Return the change wanted at this step, or None, which is what most steps get."""
