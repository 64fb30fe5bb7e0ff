"""The search for the least number that is enough: up a geometric grid, then between its last two."""

import math
from typing import final


@final
class Search:
    """Asks for numbers one after another, is told of each whether it is enough, and narrows down the least that is.

    Noise may make a larger number fail where a smaller one was enough; what is found is the least that was enough among
    those between the last failure and the first success of the grid.

    Args:
        first: Where the grid begins.
        largest: Where it ends.
        factor: The ratio of its neighbours.
        tolerance: By which share of itself the result may be too large.

    Example:
        >>> search, asked = Search(first=10, largest=1000, factor=2.0, tolerance=0.1), []
        >>> while (number := search.next()) is not None:
        ...     asked.append(number)
        ...     search.tell(number, number >= 100)
        >>> asked, search.found
        ([10, 20, 40, 80, 160, 113, 95, 104], 104)
    """

    found: int | None
    """The least number so far that was enough."""

    def __init__(self, first: int, largest: int, factor: float, tolerance: float) -> None:
        self.found = None
        self._failed = 0
        self._first = min(first, largest)
        self._largest = largest
        self._factor = factor
        self._tolerance = tolerance

    def next(self) -> int | None:
        """Return the number to try next; None when the search is over."""
        low, high = self._failed, self.found
        if high is None:
            if low >= self._largest:
                return None
            return min(self._largest, max(low + 1, round(low * self._factor), self._first))
        if high - low <= max(1, self._tolerance * high):
            return None
        return min(max(round(math.sqrt(max(low, 1) * high)), low + 1), high - 1)

    def tell(self, number: int, enough: bool) -> None:
        """Take note of whether a number was enough."""
        if enough:
            self.found = number
        else:
            self._failed = number
