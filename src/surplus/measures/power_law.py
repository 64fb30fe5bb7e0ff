"""Power law: how heavy the tail of a weight matrix's spectrum is, beside the same matrix with its entries permuted."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import derive, register
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
from surplus.passes.spectra import (
    PHASES,
    RESOLVED,
    Comparison,
    PowerLaw,
    against_log_normal,
    fit_bulk,
    fit_power_law,
    fit_tails,
    phase_of,
)


@register("power-law")
@dataclass(frozen=True, kw_only=True, slots=True)
class PowerLawTail(Measure):
    r"""Fit a power law x^-alpha to the tail of the eigenvalues s^2 of each weight matrix, and name its phase.

    An alpha between 2 and 6 has been called the mark of a well-trained layer. Pure noise is no power law, and a fit to
    its edge gives some alpha all the same, often one below 6 in small matrices; so alpha stands beside that of the
    matrix with its entries permuted (median and 95 % of the draws), and says something where the two differ.

    The interval of alpha and of x_min is that of a bootstrap over eigenvalues, which takes them as independent, widened
    to hold the estimate. `alpha_hat` is alpha log10 of the largest eigenvalue. The log-likelihood ratio is that of the
    power law and a log-normal law; a small p-value with a negative ratio means that the tail is no power law.

    Reference: martin2021predicting, for alpha and alpha_hat; martin2021implicit, Section 5, for the phases;
    clauset2009power, Sections 3 and 5.1, for the fit. Permutations are drawn without replacement. The rule that tells
    the phases apart is our own (decisions/0017-phases.md).
    """

    references: ClassVar = ("martin2021predicting", "martin2021implicit", "clauset2009power")
    min_tail: int = 10
    """How many eigenvalues a tail must have at least."""
    num_draws: int = 10
    """How often the entries are permuted."""
    num_resamples: int = 100
    """How often the eigenvalues are drawn anew for the intervals."""
    by_position: bool = False
    """Whether a convolution counts as one matrix for each position of its kernel, whose eigenvalues are pooled, instead
    of as one matrix of filters x (inputs x positions)."""
    min_for_phase: int = 50
    """With fewer eigenvalues the phases cannot be told apart."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield alpha with its intervals and its control, the comparison with a log-normal law, and the phase."""
        parameters, sizes = parameters_of(seen), dict(seen.model.named_parameters())
        matrices = by_layer(seen.matrices())
        initial = None if seen.initial is None else by_layer(seen.initial_matrices())

        def one(layer: str) -> Iterator[Finding]:
            shape = sizes[parameters[layer]].shape
            weights = trimmed(matrices[layer], shape, self.by_position)
            yield from self._layer(seen, layer, weights)
            if initial is not None:
                start = trimmed(initial[layer], shape, self.by_position)
                fit = self._fit(_eigenvalues(values_of(seen, "initial", layer, start.stack)))
                if fit is not None:
                    yield Finding(quantity="initial_alpha", value=fit.alpha, n=fit.num_tail)

        return per_layer(list(matrices), one)

    def _layer(self, seen: Observed, layer: str, weights: Trimmed) -> Iterator[Finding]:
        values = _eigenvalues(values_of(seen, "weights", layer, weights.stack))
        if len(values) < self.min_tail:
            raise Untreated(
                f"it has {len(values)} eigenvalues, and a tail needs at least {self.min_tail}"
            )
        controls = permuted_values_of(seen, layer, weights.stack, self.num_draws)
        fit, comparison = self._fit(values), None
        if fit is not None:
            comparison = against_log_normal(values[values >= fit.x_min], fit.x_min, fit.alpha)
            for found in self._tail(values, fit, comparison, derive(seen.seed, "resampled", layer)):
                yield replace(found, note=weights.note)
            yield from self._control(fit, controls, seen.seed)
        yield self._phase(weights, values, fit, comparison, controls)

    def _fit(self, values: Float[Tensor, " values"]) -> PowerLaw | None:
        return fit_power_law(_positive(values), self.min_tail)

    def _tail(
        self, values: Float[Tensor, " values"], fit: PowerLaw, comparison: Comparison, seed: int
    ) -> Iterator[Finding]:
        yield from self._intervals(_positive(values), fit, seed)
        yield Finding(quantity="alpha_standard_error", value=fit.standard_error, n=fit.num_tail)
        yield Finding(quantity="num_tail", value=fit.num_tail, n=len(values))
        yield Finding(quantity="ks_distance", value=fit.ks_distance, n=fit.num_tail)
        alpha_hat = fit.alpha * float(values.max().log10())
        yield Finding(quantity="alpha_hat", value=alpha_hat, n=fit.num_tail)
        ratio, p_value = comparison
        yield Finding(quantity="log_likelihood_ratio", value=ratio, n=fit.num_tail)
        yield Finding(quantity="log_normal_p_value", value=p_value, n=fit.num_tail)

    def _intervals(
        self, values: Float[Tensor, " values"], fit: PowerLaw, seed: int
    ) -> Iterator[Finding]:
        """Yield alpha and x_min with their intervals."""
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randint(len(values), (self.num_resamples, len(values)), generator=generator)
        resampled = values[drawn].sort(dim=1).values
        tails = fit_tails(resampled, self.min_tail) if self.num_resamples else None
        found = {} if tails is None else _finite(tails.alphas, tails.starts, resampled)
        for quantity, value in {"alpha": fit.alpha, "x_min": fit.x_min}.items():
            if not found:
                yield Finding(quantity=quantity, value=value, n=fit.num_tail)
                continue
            spread = of_draws(quantity, found[quantity], seed)
            assert spread.lower is not None and spread.upper is not None
            low, high = min(spread.lower, value), max(spread.upper, value)
            yield Finding(
                quantity=quantity, value=value, lower=low, upper=high, n=fit.num_tail, seed=seed
            )

    def _control(self, fit: PowerLaw, controls: list[Tensor], seed: int) -> Iterator[Finding]:
        """Yield alpha of the permuted matrices, and how many of them have one that is not above that of the layer."""
        fits = [self._fit(_eigenvalues(each)) for each in controls]
        alphas = [each.alpha for each in fits if each is not None]
        if not alphas:
            return
        yield of_draws("permuted_alpha", alphas, seed)
        below = sum(alpha <= fit.alpha for alpha in alphas) / len(alphas)
        yield Finding(quantity="share_of_permuted_below", value=below, n=len(alphas), seed=seed)

    def _phase(
        self,
        weights: Trimmed,
        values: Float[Tensor, " values"],
        fit: PowerLaw | None,
        comparison: Comparison | None,
        controls: list[Tensor],
    ) -> Finding:
        if len(values) < self.min_for_phase:
            reason = f"with {len(values)} eigenvalues, fewer than {self.min_for_phase}, the phases cannot be told apart"
            return Finding(quantity="phase", value=None, note=reason)
        long, short = weights.num_long, weights.num_short
        bulks = [fit_bulk(_eigenvalues(each) / long, long, short) for each in controls]
        spikes = [each.num_spikes for each in bulks if each is not None]
        phase = phase_of(
            values,
            fit_bulk(values / long, long, short),
            fit,
            comparison,
            statistics.median(spikes) if spikes else 0,
        )
        return Finding(quantity="phase", value=PHASES.index(phase), note=phase, n=len(values))


def _eigenvalues(values: Float[Tensor, "positions values"]) -> Float[Tensor, " eigenvalues"]:
    return values.flatten().square()


def _positive(values: Float[Tensor, " values"]) -> Float[Tensor, " positive"]:
    return values[values > RESOLVED * values.max()]


def _finite(alphas: Tensor, starts: Tensor, values: Tensor) -> dict[str, list[float]]:
    good = alphas.isfinite()
    if not good.any():
        return {}
    x_mins = values.gather(1, starts[:, None]).squeeze(1)
    return {"alpha": alphas[good].tolist(), "x_min": x_mins[good].tolist()}
