"""Layers that a measure cannot treat: named with the reason, never left out in silence."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import torch

from surplus.base import InvalidArgument
from surplus.measures.finding import Finding

UNTREATED = "untreated"
LinAlgError: type[RuntimeError] = vars(torch.linalg)["LinAlgError"]  # not among its typed names
NO_SPECTRUM = (
    "its spectrum cannot be found: weights or data hold NaN, infinities or numbers too large"
)


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
        except LinAlgError:
            found = [untreated(NO_SPECTRUM)]
        yield from (replace(each, layer=name) for each in found)


def untreated(reason: str) -> Finding:
    """Return the finding that there is none, and why."""
    return Finding(quantity=UNTREATED, value=None, note=reason)
