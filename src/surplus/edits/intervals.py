"""Sets of positions as half-open intervals: short in JSON, readable by people."""

from collections.abc import Iterable, Sequence

Intervals = tuple[tuple[int, int], ...]


def pack(positions: Iterable[int]) -> Intervals:
    """Return ascending positions as half-open intervals.

    Example:
        >>> pack([0, 1, 2, 5, 6, 9])
        ((0, 3), (5, 7), (9, 10))
    """
    intervals: list[list[int]] = []
    for position in positions:
        if intervals and intervals[-1][1] == position:
            intervals[-1][1] = position + 1
        else:
            intervals.append([position, position + 1])
    return tuple((start, end) for start, end in intervals)


def unpack(intervals: Sequence[Sequence[int]]) -> list[int]:
    """Return the positions that half-open intervals cover.

    Example:
        >>> unpack([(0, 3), (5, 7)])
        [0, 1, 2, 5, 6]
    """
    return [position for start, end in intervals for position in range(start, end)]
