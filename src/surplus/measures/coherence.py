"""Gradient coherence: how many examples the gradient of an average example helps."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from surplus.base import register
from surplus.measures.backward import NUM_EXAMPLES
from surplus.measures.finding import Finding
from surplus.measures.gradients import columns_of_layers
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.passes.ghost import Coherence, CoherenceQuantity


@register("coherence")
@dataclass(frozen=True, kw_only=True, slots=True)
class GradientCoherence(Measure):
    """State alpha = ||mean gradient||^2 / mean ||gradient||^2 and m alpha, per layer and in total.

    m alpha is between 0 and m; 1 is what orthogonal gradients of equal length have, where no example helps another, and
    m what identical ones have. The alpha of the network is the mean of its layers', weighted with each layer's share of
    all squared norms. All is exact for the examples that are drawn; alpha itself depends on m, its unbiased form
    does not.

    Reference: chatterjee2022generalization, Section 2.
    A layer is the parameters of one module. Intervals come from the jackknife over examples.
    """

    references: ClassVar = ("chatterjee2022generalization",)
    needs: ClassVar = ("gradients", "labels")

    num_examples: int | None = NUM_EXAMPLES
    """How many examples are drawn; None takes all."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield alpha, m alpha, the unbiased forms and the share of squared norms."""
        sample = seen.backward(self.num_examples).sample
        whole = Coherence.of(sample, list(range(len(sample.names))))
        for found in _of(whole, whole.total):
            yield replace(found, seed=seen.seed)
        for layer, columns in columns_of_layers(sample.names).items():
            for found in _of(Coherence.of(sample, columns), whole.total):
                yield replace(found, layer=layer, seed=seen.seed)


def _of(each: Coherence, total: float) -> Iterator[Finding]:
    count = each.num_examples
    if each.total == 0:
        note = "the gradients of all examples are zero"
        yield Finding(quantity="alpha", value=None, n=count, note=note)
        return
    share = each.total / total
    yield Finding(quantity="share_of_squared_norms", value=share, n=count)
    alpha = min(max(each.value("alpha"), 0.0), 1.0)
    if count < 3:
        yield Finding(quantity="alpha", value=alpha, n=count)
        yield Finding(quantity="m_alpha", value=count * alpha, n=count)
        return
    lower, upper = each.interval("alpha")
    lower, upper = min(max(lower, 0.0), alpha), max(min(upper, 1.0), alpha)
    yield Finding(quantity="alpha", value=alpha, lower=lower, upper=upper, n=count)
    yield Finding(
        quantity="m_alpha",
        value=count * alpha,
        lower=count * lower,
        upper=count * upper,
        n=count,
    )
    yield _estimate(each, "alpha_unbiased", "alpha_unbiased")
    yield _estimate(each, "squared_mean", "squared_norm_of_expected_gradient")


def _estimate(each: Coherence, quantity: CoherenceQuantity, name: str) -> Finding:
    lower, upper = each.interval(quantity)
    value = each.value(quantity)
    return Finding(quantity=name, value=value, lower=lower, upper=upper, n=each.num_examples)
