"""Coherence: how far the gradients of examples point the same way."""

from dataclasses import dataclass
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.passes.ghost.collecting import GradientSample

CoherenceQuantity = Literal["alpha", "alpha_unbiased", "squared_mean"]
NORMAL = 1.959963984540054
"""How many standard errors a 95 % interval reaches to either side."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Coherence:
    """What the gradients of m examples share, over some of the parameters.

    With g_i the gradients and gbar their mean, alpha = ||gbar||^2 / mean_i ||g_i||^2 lies in [0, 1]: 1 where all are
    identical, 1 / m where they are orthogonal and equally long. Chance alone gives 1 / m; the unbiased form
    estimates <g, g'> / <g, g> of two independent examples instead.

    Reference: chatterjee2022generalization, Section 2.
    The unbiased form leaves out the products of each gradient with itself.
    """

    squared_norms: Float[Tensor, " examples"]
    """||g_i||^2."""
    with_sum: Float[Tensor, " examples"]
    """<g_i, sum_j g_j>."""
    of_sum: float
    """||sum_i g_i||^2."""

    @staticmethod
    def of(sample: GradientSample, columns: list[int]) -> "Coherence":
        """Return the coherence over some of the parameters of a sample."""
        return Coherence(
            sample.squared_norms[:, columns].sum(1),
            sample.with_sum[:, columns].sum(1),
            float(sample.of_sum[columns].sum()),
        )

    @property
    def num_examples(self) -> int:
        """How many examples it rests on."""
        return len(self.squared_norms)

    @property
    def total(self) -> float:
        """The sum of all squared norms."""
        return float(self.squared_norms.sum())

    def value(self, quantity: CoherenceQuantity) -> float:
        """Return alpha, its unbiased form, or the unbiased estimate of the squared norm of the expected gradient."""
        of_sum, total = torch.tensor([self.of_sum, self.total], dtype=torch.float64)
        return float(_value(quantity, self.num_examples, of_sum, total))

    def interval(self, quantity: CoherenceQuantity) -> tuple[float, float]:
        """Return its 95 % interval: normal, with the standard error of the jackknife over examples."""
        value, count = self.value(quantity), self.num_examples
        without = _value(
            quantity,
            count - 1,
            self.of_sum - 2 * self.with_sum + self.squared_norms,
            self.total - self.squared_norms,
        )
        error = float((without.var(correction=0) * (count - 1)).sqrt())
        return value - NORMAL * error, value + NORMAL * error


def _value(quantity: CoherenceQuantity, count: int, of_sum: Tensor, total: Tensor) -> Tensor:
    if quantity == "alpha":
        return of_sum / (count * total)
    squared_mean = (of_sum - total) / (count * (count - 1))
    return squared_mean if quantity == "squared_mean" else squared_mean * count / total
