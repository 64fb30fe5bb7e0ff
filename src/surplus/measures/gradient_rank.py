"""Gradient rank: how many directions the gradients of single examples span."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument, register
from surplus.measures.finding import Finding
from surplus.measures.gradients import columns_of_layers
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated
from surplus.passes import num_directions
from surplus.passes.ghost import gradient_grams
from surplus.passes.spectra import effective_rank


@register("gradient-rank")
@dataclass(frozen=True, kw_only=True, slots=True)
class GradientRank(Measure):
    """State numerical rank, effective rank and participation ratio of the gradients of n examples.

    All come from the n x n matrix of their scalar products, whose eigenvalues are those of the empirical Fisher matrix,
    times n. With singular values s_k of the matrix of gradients and p_k = s_k / sum s, the effective rank is exp of the
    entropy of p; the participation ratio is (sum s^2)^2 / sum s^4. All three are at most n and grow with it: they say
    what these n examples span.

    Reference: roy2007effective, Section 2, for the effective rank.
    Per layer (the parameters of one module) and for the network. The interval of the participation ratio comes from the
    jackknife over examples.
    """

    references: ClassVar = ("roy2007effective",)
    needs: ClassVar = ("gradients", "labels")

    num_examples: int = 512
    """How many examples are drawn."""
    tolerance: float = 1e-4
    """Singular values below this fraction of the largest count as zero; single precision blurs what is below 1e-6."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the three numbers for the network and for each layer."""
        chosen, _ = seen.sample(self.num_examples)
        try:
            grams = gradient_grams(seen.model, chosen)
        except InvalidArgument as reason:
            raise Untreated(str(reason)) from reason
        matrices = list(grams.values())
        for found in _of(torch.stack(matrices).sum(0), self.tolerance):
            yield replace(found, seed=seen.seed)
        for layer, places in columns_of_layers(grams).items():
            gram = torch.stack([matrices[place] for place in places]).sum(0)
            for found in _of(gram, self.tolerance):
                yield replace(found, layer=layer, seed=seen.seed)


def _of(gram: Float[Tensor, "examples examples"], tolerance: float) -> Iterator[Finding]:
    count = len(gram)
    values = torch.linalg.eigvalsh(gram).clamp(min=0).sqrt()
    if float(values.max()) == 0:
        note = "the gradients of all examples are zero"
        yield Finding(quantity="numerical_rank", value=0, n=count, note=note)
        return
    rank = num_directions(values, tolerance)
    yield Finding(quantity="numerical_rank", value=rank, at=tolerance, n=count)
    yield Finding(quantity="effective_rank", value=effective_rank(values), n=count)
    yield _participation(gram)


def _participation(gram: Float[Tensor, "examples examples"]) -> Finding:
    count, diagonal, squares = len(gram), gram.diagonal(), gram.square()
    value = float(diagonal.sum() ** 2 / squares.sum())
    # Leaving out an example takes its row and its column.
    below = squares.sum() - 2 * squares.sum(1) + diagonal.square()
    without = (diagonal.sum() - diagonal).square() / below
    error = float((without.var(correction=0) * (count - 1)).sqrt()) if count > 2 else 0.0
    if not error < float("inf"):
        return Finding(quantity="participation_ratio", value=value, n=count)
    lower, upper = max(value - 1.96 * error, 1.0), min(value + 1.96 * error, float(count))
    return Finding(
        quantity="participation_ratio",
        value=value,
        lower=min(lower, value),
        upper=max(upper, value),
        n=count,
    )
