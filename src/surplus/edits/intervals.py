"""Sets of positions as half-open intervals: short in JSON, readable by people."""

from collections.abc import Iterable, Sequence

from surplus.base import InvalidArgument

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


def num_positions(intervals: Sequence[Sequence[int]]) -> int:
    """Return how many positions half-open intervals cover."""
    return sum(end - start for start, end in intervals)


def check_intervals(intervals: Intervals, size: int) -> None:
    """Refuse what are no positions of an axis.

    Raises:
        InvalidArgument: they do not ascend, or do not lie within the axis.
    """
    ends = [end for start, end in intervals]
    ascending = all(
        before <= start for before, (start, _) in zip([0, *ends], intervals, strict=False)
    )
    if (
        not ascending
        or any(start >= end for start, end in intervals)
        or max(ends, default=0) > size
    ):
        raise InvalidArgument(
            f"{intervals} are no positions of an axis of {size}: half-open intervals that ascend and lie in [0, {size}]"
            " are needed."
        )
