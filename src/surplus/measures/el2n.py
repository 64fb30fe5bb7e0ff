"""EL2N: how wrong the network is about each example."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from surplus.base import register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.passes import Data, mean_estimate
from surplus.passes.statistics import chunks
from surplus.units import evaluating, left_as_found


@register("el2n")
@dataclass(frozen=True, kw_only=True, slots=True)
class EL2N(Measure):
    """Score examples by the length of the error of their probabilities, ||softmax(f(x)) - onehot(y)||_2.

    It is the length of the gradient with respect to the last layer's bias: a part of GraNd that needs no gradients.
    The score of one network; the paper averages over networks trained from several seeds.

    Reference: paul2021deep, Section 2, the EL2N score.
    """

    references: ClassVar = ("paul2021deep",)
    needs: ClassVar = ("labels",)

    num_examples: int | None = 2000
    """How many examples are drawn; None takes all."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the mean score and each example's score."""
        chosen, numbers = seen.sample(self.num_examples)
        scores = error_norms(seen.model, chosen)
        mean = mean_estimate(scores)
        yield Finding(
            quantity="mean_el2n",
            value=mean.value,
            lower=mean.lower,
            upper=mean.upper,
            n=len(scores),
            seed=seen.seed,
        )
        for number, score in zip(numbers, scores.tolist(), strict=True):
            yield Finding(quantity="el2n", value=score, example=number, seed=seen.seed)


def error_norms(model: nn.Module, data: Data) -> Float[Tensor, " examples"]:
    """Return ||softmax(f(x)) - onehot(y)||_2 of each example."""
    found = []
    with torch.no_grad(), evaluating(model), left_as_found(model):
        for inputs, targets in chunks(data, model):
            outputs = model(inputs).double()
            error = outputs.softmax(1) - F.one_hot(targets, outputs.shape[1])
            found.append(error.norm(dim=1).cpu())
    return torch.cat(found)
