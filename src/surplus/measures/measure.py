"""The family of measures: how redundant a network is, and of what kind."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from surplus.base import Family
from surplus.measures.finding import Finding
from surplus.measures.needs import Need
from surplus.measures.observed import Observed


class Measure(Family):
    """Quantifies redundancy and changes nothing.

    A measure declares what it needs; all that several of them need is then gathered in one pass over the data.
    """

    __slots__ = ()

    needs: ClassVar[tuple[Need, ...]] = ("weights",)
    """What the measure looks at; what it does not declare it does not get."""

    @abstractmethod
    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield what is found; layers that cannot be treated are named with the reason (see `per_layer`)."""
