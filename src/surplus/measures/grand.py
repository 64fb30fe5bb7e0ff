"""GraNd: the length of each example's gradient."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.measures.backward import NUM_EXAMPLES
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.passes import mean_estimate, rank_correlation


@register("grand")
@dataclass(frozen=True, kw_only=True, slots=True)
class GraNd(Measure):
    """Score examples by the length of their gradient over all parameters: long ones move the network most.

    The score of one network; the papers average over networks trained from several seeds. Near initialisation it mostly
    follows the length of the input, so the rank correlation with that is stated beside it.

    Reference: paul2021deep, Definition 2.1; kirsch2023does, Section 3, for the comparison with the input's norm.
    """

    references: ClassVar = ("paul2021deep", "kirsch2023does")
    needs: ClassVar = ("gradients", "labels")

    num_examples: int | None = NUM_EXAMPLES
    """How many examples are drawn; None takes all."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the mean score, the rank correlation with the norm of the input, and each example's score."""
        sample, _, numbers = seen.backward(self.num_examples)
        scores = sample.squared_norms.sum(1).sqrt()
        mean = mean_estimate(scores)
        yield Finding(
            quantity="mean_grand",
            value=mean.value,
            lower=mean.lower,
            upper=mean.upper,
            n=len(scores),
            seed=seen.seed,
        )
        yield _with_inputs(scores, sample.input_norms, seen.seed)
        for number, score in zip(numbers, scores.tolist(), strict=True):
            yield Finding(quantity="grand", value=score, example=number, seed=seen.seed)


def _with_inputs(
    scores: Float[Tensor, " examples"], norms: Float[Tensor, " examples"], seed: int
) -> Finding:
    name, count = "rank_correlation_with_input_norm", len(scores)
    value = rank_correlation(scores, norms)
    if value is None or count < 4:
        note = "too few examples, or all scores or all inputs are equally long"
        return Finding(quantity=name, value=None, n=count, note=note)
    # Fisher's transformation, with the standard error for ranks.
    centre, reach = (
        torch.tensor(value).double().clamp(-1, 1).atanh(),
        1.96 * (1.06 / (count - 3)) ** 0.5,
    )
    lower, upper = float((centre - reach).tanh()), float((centre + reach).tanh())
    return Finding(quantity=name, value=value, lower=lower, upper=upper, n=count, seed=seed)
