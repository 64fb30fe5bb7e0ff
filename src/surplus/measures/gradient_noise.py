"""Gradient noise scale: the batch size beyond which more examples per step stop paying."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from surplus.base import register
from surplus.measures.backward import NUM_EXAMPLES
from surplus.measures.finding import Finding
from surplus.measures.gradients import columns_of_layers
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.passes.ghost import Coherence

ROUNDING = 1e-12
UNKNOWN = "on so few examples the expected gradient cannot be told from zero"


@register("gradient-noise")
@dataclass(frozen=True, kw_only=True, slots=True)
class GradientNoise(Measure):
    """State the simple noise scale tr(covariance of the gradients) / ||expected gradient||^2, in examples.

    With the unbiased coherence alpha it is 1 / alpha - 1. Norms are exact for the examples that are drawn, and the
    squared norm of the expected gradient is estimated without the products of gradients with themselves.

    Reference: mccandlish2018empirical, Section 2.2, Eq. 2.9.
    From single examples instead of two batch sizes. The interval is that of alpha by the jackknife over
    examples; where it reaches zero the scale has no upper end.
    """

    references: ClassVar = ("mccandlish2018empirical",)
    needs: ClassVar = ("gradients", "labels")

    num_examples: int | None = NUM_EXAMPLES
    """How many examples are drawn; None takes all."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the scale of the network and of each layer."""
        sample = seen.backward(self.num_examples).sample
        whole = _of(Coherence.of(sample, list(range(len(sample.names)))))
        yield replace(whole, seed=seen.seed)
        for layer, columns in columns_of_layers(sample.names).items():
            yield replace(_of(Coherence.of(sample, columns)), layer=layer, seed=seen.seed)


def _of(each: Coherence) -> Finding:
    name, count = "noise_scale_examples", each.num_examples
    if count < 3 or each.total == 0 or each.value("alpha_unbiased") <= ROUNDING:
        return Finding(quantity=name, value=None, n=count, note=UNKNOWN)
    value = 1 / each.value("alpha_unbiased") - 1
    low, high = each.interval("alpha_unbiased")
    # No gradients are more alike than identical ones, whose noise is zero.
    lower = min(max(1 / high - 1, 0.0), max(value, 0.0))
    upper = 1 / low - 1 if low > 0 else None
    return Finding(quantity=name, value=max(value, 0.0), lower=lower, upper=upper, n=count)
