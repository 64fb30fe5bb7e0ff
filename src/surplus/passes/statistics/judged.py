"""Judged: how right a classifier is on the examples of a pass, and how sure that is."""

import math
from typing import Any, final

import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from surplus.passes.estimates import Estimate, quantile_of_student, share_estimate
from surplus.passes.statistics.comoments import Comoments


@final
class Judged:
    """Sums up cross-entropies and right answers.

    Example:
        >>> import torch
        >>> seen = Judged()
        >>> seen.add(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 0]))
        >>> seen.num_correct, seen.losses.num_examples
        (1, 2)
    """

    def __init__(self) -> None:
        self.losses = Comoments(1)
        """Of the cross-entropy of each example, in nats."""
        self.num_correct = 0
        self.refused: str | None = None
        """Why it cannot be told."""

    def add(self, outputs: Any, labels: Int[Tensor, " batch"] | None) -> None:
        """Take in what a model gave for a batch."""
        if labels is None:
            self.refused = "the targets are not class labels"
        elif not isinstance(outputs, Tensor) or outputs.dim() != 2 or len(outputs) != len(labels):
            self.refused = "the model does not return one row of logits per example"
        elif len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < outputs.shape[1]:
            self.refused = "there are labels for which the model has no output"
        else:
            losses = F.cross_entropy(outputs.double(), labels, reduction="none")
            self.losses.add(losses[:, None], len(labels))
            self.num_correct += int((outputs.argmax(1) == labels).sum())

    def merge(self, other: "Judged") -> None:
        """Take in what was summed up elsewhere, on other examples."""
        self.refused = self.refused or other.refused
        self.losses.merge(other.losses)
        self.num_correct += other.num_correct

    @property
    def loss(self) -> Estimate:
        """The mean cross-entropy with Student's interval; two examples at least are needed."""
        n = self.losses.num_examples
        mean, variance = float(self.losses.mean[0]), float(self.losses.variances[0])
        half = quantile_of_student(n - 1) * math.sqrt(variance / (n - 1))
        return Estimate(mean, mean - half, mean + half, n)

    @property
    def accuracy(self) -> Estimate:
        """The share of right answers with Wilson's interval."""
        return share_estimate(self.num_correct, self.losses.num_examples)
