"""The family of views: what a part of the page shows of a run."""

from abc import abstractmethod
from typing import Any

from surplus.base import Family
from surplus.store import Run


class View(Family):
    """Prepares the data of one view; the module `web/views/<kind>.js` draws them."""

    __slots__ = ()

    @abstractmethod
    def data(self, run: Run) -> Any | None:
        """Return what the view shows, as JSON data, or None if the run holds nothing for it."""
