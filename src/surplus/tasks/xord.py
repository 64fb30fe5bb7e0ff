"""XORD: does one of several two-bit patterns make an input positive?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument, Parts, register
from surplus.tasks.losses.hinge import Hinge
from surplus.tasks.synthetic import Synthetic
from surplus.tasks.vector_part import VectorPart, vector_part

PATTERNS = ((1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0))
POSITIVE = frozenset({0, 2})
"""The patterns of which one is enough: those whose bits are equal."""


@register("xord")
@dataclass(frozen=True, kw_only=True, slots=True)
class XORD(Synthetic):
    """Inputs of several positions with two bits each; an input is positive if the bits of some position are equal.

    A network that takes the largest response over positions sees only which of the four patterns occur, so the 15
    non-empty sets of patterns are all there is: they are the test part, and testing is exact. The loss is a hinge whose
    margin is large on positives: with a small one a single positive pattern is enough, and learning stops.

    Reference: brutzkus2019larger, the XORD problem and its diverse training sets.
    The margin of negatives is 1, as there; inputs are shaped (2, 1, positions), so that a filter is a convolution's.
    """

    references: ClassVar = ("brutzkus2019larger",)

    num_positions: int = 4
    """How many positions an input has."""
    sets: tuple[tuple[int, ...], ...] = ((0, 1, 2, 3), (1, 3))
    """The sets of patterns that the training inputs show; this one, all four and both negative ones, is diverse."""
    gamma: float = 8.0
    """The margin on positives."""

    def __post_init__(self) -> None:
        largest = max((len(each) for each in self.sets), default=0)
        if not self.sets or not all(each and set(each) <= set(range(4)) for each in self.sets):
            raise InvalidArgument(
                f"`sets` is {self.sets}; it holds sets of the patterns 0 to 3, at least one, and none is empty."
            )
        if self.num_positions < max(largest, len(PATTERNS)):
            raise InvalidArgument(
                f"`num_positions` is {self.num_positions}; an input must have room for all four patterns."
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input: bits, 1, positions."""
        return (2, 1, self.num_positions)

    @property
    def num_classes(self) -> int:
        """Negative and positive."""
        return 2

    @property
    def loss(self) -> Hinge:
        """max(gamma - N, 0) on positives and max(1 + N, 0) on negatives, where N is the lead of the second output."""
        return Hinge(margins=(1.0, self.gamma))

    @property
    def directions(self) -> Float[Tensor, "4 2"]:
        """The four patterns."""
        return torch.tensor(PATTERNS)

    def make(self) -> Parts:
        """Return the training sets, and twice all 15 sets of patterns."""
        every = [each for size in range(1, 5) for each in combinations(range(4), size)]
        return Parts(self._part(self.sets), self._part(every), self._part(every))

    def _part(self, sets: Sequence[tuple[int, ...]]) -> VectorPart:
        shown = [[each[place % len(each)] for place in range(self.num_positions)] for each in sets]
        inputs = self.directions[torch.tensor(shown)]  # sets, positions, bits
        labels = torch.tensor([int(bool(POSITIVE & set(each))) for each in sets])
        return vector_part(inputs.transpose(1, 2)[:, :, None].contiguous(), labels)
