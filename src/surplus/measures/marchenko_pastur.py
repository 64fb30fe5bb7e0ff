"""Noise and spikes: how much of a weight matrix looks random, and what stands out of it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.measures.drawn import of_draws
from surplus.measures.finding import Finding
from surplus.measures.matrices import (
    Trimmed,
    by_layer,
    parameters_of,
    permuted_values_of,
    trimmed,
    values_of,
)
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, per_layer
from surplus.passes.spectra import fit_bulk


@register("marchenko-pastur")
@dataclass(frozen=True, kw_only=True, slots=True)
class MarchenkoPasturFit(Measure):
    r"""Fit the law of noise to each weight matrix, and state what lies beyond it.

    For an N x M matrix of independent entries, N >= M, the eigenvalues s^2 / N fill the range from variance (1 - r)^2
    to variance (1 + r)^2, with r = sqrt(M / N). The variance is fitted to what is no spike; a spike lies three times
    the fluctuation of the largest noise eigenvalue beyond the upper edge. Energies are sums of s^2, so that the
    bulk's and the spikes' add up to the squared norm of the weights. The same is stated of the matrix with its
    entries permuted (median and 95 % of the draws), which has spikes only where entries are large, and of the weights
    at initialisation.

    Reference: marchenko1967distribution; johnstone2001distribution, Theorem 1.1, for the fluctuation of the edge;
    martin2021implicit, Section 3, for spikes and the soft rank, upper edge over largest eigenvalue.
    The variance is fitted by itself instead of to a smoothed density (decisions/0014-phases.md).
    """

    references: ClassVar = (
        "marchenko1967distribution",
        "johnstone2001distribution",
        "martin2021implicit",
    )
    num_scales: float = 3.0
    """How many fluctuations beyond the upper edge a spike begins."""
    by_position: bool = False
    """Whether a convolution counts as one matrix for each position of its kernel, whose eigenvalues are pooled, instead
    of as one matrix of filters x (inputs x positions)."""
    num_draws: int = 3
    """How often the entries are permuted."""
    min_values: int = 8
    """Layers with fewer eigenvalues are named, not fitted."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the fit of every weight matrix, of its permutations, and of the initial weights if they are known."""
        parameters, sizes = parameters_of(seen), dict(seen.model.named_parameters())
        matrices = by_layer(seen.matrices())
        initial = None if seen.initial is None else by_layer(seen.initial_matrices())

        def one(layer: str) -> Iterator[Finding]:
            shape = sizes[parameters[layer]].shape
            weights = trimmed(matrices[layer], shape, self.by_position)
            for quantity, value in self._fit(
                weights, values_of(seen, "weights", layer, weights.stack)
            ).items():
                yield Finding(quantity=quantity, value=value, note=weights.note)
            yield from self._permuted(seen, layer, weights)
            if initial is not None:
                start = trimmed(initial[layer], shape, self.by_position)
                for quantity, value in self._fit(
                    start, values_of(seen, "initial", layer, start.stack)
                ).items():
                    yield Finding(quantity=f"initial_{quantity}", value=value, note=start.note)

        return per_layer(list(matrices), one)

    def _permuted(self, seen: Observed, layer: str, weights: Trimmed) -> Iterator[Finding]:
        draws = permuted_values_of(seen, layer, weights.stack, self.num_draws)
        try:
            fits = [self._fit(weights, each) for each in draws]
        except Untreated:
            return
        for quantity in fits[0] if fits else ():
            found = of_draws(quantity, [fit[quantity] for fit in fits], seen.seed)
            yield replace(found, quantity=f"permuted_{quantity}")

    def _fit(
        self, weights: Trimmed, values: Float[Tensor, "positions values"]
    ) -> dict[str, float | int]:
        long, short = weights.num_long, weights.num_short
        if short < self.min_values:
            raise Untreated(
                f"a matrix of {weights.stack.shape[1]} x {weights.stack.shape[2]} has {short} eigenvalues, and fewer"
                f" than {self.min_values} say nothing about a law"
            )
        bulk = fit_bulk(values.flatten().square() / long, long, short, num_scales=self.num_scales)
        if bulk is None:
            raise Untreated(
                "at least half of its eigenvalues are zero, so there is no noise to fit"
            )
        return {
            "bulk_variance": bulk.law.variance,
            "lower_edge": bulk.law.lower,
            "upper_edge": bulk.law.upper,
            "spike_threshold": bulk.threshold,
            "largest_eigenvalue": bulk.largest,
            "num_eigenvalues": bulk.num_values,
            "num_spikes": bulk.num_spikes,
            "spike_energy": bulk.spike_energy * long,
            "bulk_energy": bulk.bulk_energy * long,
            "spike_share": bulk.spike_share,
            "soft_rank": bulk.soft_rank,
            "ks_distance": bulk.ks_distance,
            "has_edge": int(bulk.has_edge),
        }
