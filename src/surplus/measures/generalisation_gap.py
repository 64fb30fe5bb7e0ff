"""The generalisation gap: how much better a network is on what it was trained on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from surplus.base import InvalidArgument, register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated
from surplus.passes import Data, are_labels, difference, sampled
from surplus.passes.statistics import Judged, chunks
from surplus.units import evaluating, left_as_found


@register("generalisation-gap")
@dataclass(frozen=True, kw_only=True, slots=True)
class GeneralisationGap(Measure):
    """State accuracy and loss on training and test examples, and their differences.

    The intervals say how far other examples of the same kind might lead: Wilson's for accuracies, Student's for mean
    losses, and for differences Newcombe's combination of the two. The gap in accuracy is training less test, that in
    loss test less training: both are positive for a network that does better on what it knows. They say nothing of
    another training run.

    Reference: wilson1927probable; newcombe1998interval, Method 10.
    """

    references: ClassVar = ("wilson1927probable", "newcombe1998interval")
    needs: ClassVar = ("labels",)

    num_examples: int | None = 10_000
    """How many examples at most of a part that is not looked at anyway, drawn by the seed; None takes all."""

    def __post_init__(self) -> None:
        if self.num_examples is not None and self.num_examples < 2:
            raise InvalidArgument(
                f"`num_examples` is {self.num_examples}; it must be at least 2, or None for all."
            )

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield accuracies, losses and gaps with their 95 % intervals."""
        if seen.parts is None:
            seen.examples()
            raise Untreated(
                "training and test examples are not known apart: pass all parts of a task as `data=`"
            )
        train, test = self._judged(seen, "train"), self._judged(seen, "test")
        found = {
            "train_accuracy": train.accuracy,
            "test_accuracy": test.accuracy,
            "accuracy_gap": difference(train.accuracy, test.accuracy),
            "train_loss": train.loss,
            "test_loss": test.loss,
            "loss_gap": difference(test.loss, train.loss),
        }
        for quantity, (value, lower, upper, n) in found.items():
            yield Finding(
                quantity=quantity, value=value, lower=lower, upper=upper, n=n, seed=seen.seed
            )

    def _judged(self, seen: Observed, part: str) -> Judged:
        if part == seen.part:  # the pass over the data has been there
            found = seen.judged
        else:
            found = _judged(seen, sampled(getattr(seen.parts, part), self.num_examples, seen.seed))
        if found.losses.num_examples < 2:
            raise Untreated(
                "a part of the data holds only one example, of which no spread can be told"
            )
        return found


def _judged(seen: Observed, data: Data) -> Judged:
    found = Judged()
    with torch.no_grad(), evaluating(seen.model), left_as_found(seen.model):
        for inputs, targets in chunks(data, seen.model):
            found.add(seen.model(inputs), targets if are_labels(targets) else None)
    if found.refused is not None:
        raise Untreated(found.refused)
    return found
