"""The generalisation gap: how much better a network is on what it was trained on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument, register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated
from surplus.passes import (
    Data,
    Estimate,
    batches,
    difference,
    mean_estimate,
    sampled,
    share_estimate,
)
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
    """How many examples of each part at most, drawn by the seed; None takes all."""

    def __post_init__(self) -> None:
        if self.num_examples is not None and self.num_examples < 2:
            raise InvalidArgument(
                f"`num_examples` is {self.num_examples}; it must be at least 2, or None for all."
            )

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield accuracies, losses and gaps with their 95 % intervals."""
        if seen.parts is None:
            seen.examples()
            raise Untreated("training and test examples are not known apart: pass `parts=`")
        train_loss, train_accuracy = self._judged(seen, seen.parts.train)
        test_loss, test_accuracy = self._judged(seen, seen.parts.test)
        found = {
            "train_accuracy": train_accuracy,
            "test_accuracy": test_accuracy,
            "accuracy_gap": difference(train_accuracy, test_accuracy),
            "train_loss": train_loss,
            "test_loss": test_loss,
            "loss_gap": difference(test_loss, train_loss),
        }
        for quantity, (value, lower, upper, n) in found.items():
            yield Finding(
                quantity=quantity, value=value, lower=lower, upper=upper, n=n, seed=seen.seed
            )

    def _judged(self, seen: Observed, data: Data) -> tuple[Estimate, Estimate]:
        return _judged(seen, sampled(data, self.num_examples, seen.seed))


def _judged(seen: Observed, data: Data) -> tuple[Estimate, Estimate]:
    """Return mean cross-entropy and accuracy."""
    losses: list[Float[Tensor, " batch"]] = []
    num_correct = 0
    with torch.no_grad(), evaluating(seen.model), left_as_found(seen.model):
        for inputs, targets in batches(data, seen.model):
            if targets.dim() != 1 or targets.is_floating_point():
                raise Untreated("the targets are not class labels")
            outputs = seen.model(inputs)
            losses.append(F.cross_entropy(outputs, targets, reduction="none").double().cpu())
            num_correct += int((outputs.argmax(1) == targets).sum())
    each = torch.cat(losses)
    if len(each) < 2:
        raise Untreated("a part of the data holds only one example, of which no spread can be told")
    return mean_estimate(each), share_estimate(num_correct, len(each))
