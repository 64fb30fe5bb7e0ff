"""Accuracy rank: how many singular directions of each weight matrix the accuracy needs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from surplus.base import InvalidArgument, register
from surplus.measures.finding import Finding
from surplus.measures.matrices import by_layer, check_matrix
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.trial import Trial
from surplus.measures.untreated import Untreated, per_layer
from surplus.passes import num_macs
from surplus.passes.spectra import Decomposed


@register("accuracy-rank")
@dataclass(frozen=True, kw_only=True, slots=True)
class AccuracyRank(Measure):
    """State the rank k of each weight matrix that carries the accuracy: W_k does, and W_(k-1) does not.

    W_k is the best approximation of rank k, put in place of one weight matrix at a time; it carries the accuracy if
    that falls by less than `tolerance`. k is found by bisection, so between two such ranks, where accuracy is not
    monotone in k, one of them is stated. `LowRankAccuracy` gives whole curves.

    Reference: nagarajan2019uniform, the code of its experiments; heitmann2020sources, Section 3.
    There k is read off a curve; here it is searched for.
    """

    references: ClassVar = ("nagarajan2019uniform", "heitmann2020sources")
    needs: ClassVar = ("weights", "labels")

    tolerance: float = 0.001
    """The accuracy that may be lost, as a share of the examples: 0.001 is 0.1 point."""
    num_examples: int | None = 2000
    """How many examples are drawn; None takes all."""
    most_macs: float | None = 1e11
    """The most multiply-accumulates to spend on the network; None sets no bound."""

    def __post_init__(self) -> None:
        if not self.tolerance > 0:
            raise InvalidArgument(f"`tolerance` is {self.tolerance}; it must be positive.")

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the rank of each weight matrix, out of its full rank."""
        data, numbers = seen.sample(self.num_examples)
        matrices = by_layer(seen.matrices())
        self._afford(seen, len(matrices) * len(numbers))
        trial = Trial(seen, data)
        full = trial.accuracy({})

        def one(layer: str) -> Iterator[Finding]:
            check_matrix(matrices[layer])
            parts = Decomposed(matrices[layer])

            def carries(k: int) -> bool:
                return full - trial.accuracy({layer: parts.truncated(k)}) < self.tolerance

            rank = least(carries, parts.full_rank)
            yield Finding(quantity="accuracy_rank", value=rank, n=len(numbers), seed=seen.seed)
            yield Finding(quantity="full_rank", value=parts.full_rank)

        yield from per_layer(list(matrices), one)

    def _afford(self, seen: Observed, num_passes: int) -> None:
        total = num_macs(seen.model, seen.units.example) * num_passes * 8
        if self.most_macs is not None and total > self.most_macs:
            raise Untreated(
                f"the network would run for about {total:.0e} multiply-accumulates, more than {self.most_macs:.0e}: to"
                " search all the same, ask for AccuracyRank(most_macs=None)"
            )


def least(holds: Callable[[int], bool], greatest: int) -> int:
    """Return a k for which something holds and does not for k - 1, which is taken to hold at the greatest.

    Example:
        >>> least(lambda k: k >= 5, 9), least(lambda k: True, 9), least(lambda k: False, 9)
        (5, 0, 9)
    """
    low, high = -1, greatest
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
