"""Layers that a measure cannot treat: named with the reason, never left out in silence."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from surplus.base import InvalidArgument
from surplus.measures.finding import Finding

UNTREATED = "untreated"


class Untreated(InvalidArgument):
    """A layer, or a network, that a measure cannot treat; the message says why."""


def per_layer(names: Sequence[str], one: Callable[[str], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield the findings of every layer; one that cannot be treated becomes a finding with the reason as its note.

    Args:
        names: The layers.
        one: Yields the findings of one layer; their `layer` is filled in.
    """
    for name in names:
        try:
            found = list(one(name))
        except Untreated as reason:
            found = [untreated(str(reason))]
        yield from (replace(each, layer=name) for each in found)


def untreated(reason: str) -> Finding:
    """Return the finding that there is none, and why."""
    return Finding(quantity=UNTREATED, value=None, note=reason)
