"""A power law in the tail of a spectrum."""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

NUM_PROBES = 32
"""Points of a tail at which it is looked at first."""
NUM_AT_ONCE = 16
"""Candidates that are looked at in full together."""
CHUNK = 2**19
"""Numbers held at a time."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class PowerLaw:
    """A density proportional to x^-alpha above x_min."""

    alpha: float
    x_min: float
    ks_distance: float
    """Between the tail and the law, after Kolmogorov and Smirnov."""
    num_tail: int
    """How many values lie at or above x_min."""

    @property
    def standard_error(self) -> float:
        """Of alpha, for a given x_min and independent values."""
        return (self.alpha - 1) / math.sqrt(self.num_tail)


def fit_power_law(values: Float[Tensor, " values"], min_tail: int = 10) -> PowerLaw | None:
    """Fit a power law to the tail that follows one best.

    Every value is tried as x_min; alpha = 1 + n / sum of ln(x / x_min) over the n values from there on is the one of
    greatest likelihood, and the x_min whose tail lies closest to its law is taken.

    Args:
        values: Positive numbers, in any order.
        min_tail: How many values a tail must have at least.

    Returns:
        The fit, or None where there are fewer values than that, or all of them are equal.

    Reference: clauset2009power, Sections 3.1 and 3.3; the empirical share at a value is that of the values before it,
    as in the authors' program.
    """
    ordered = values.double().sort().values[None]
    fits = fit_tails(ordered, min_tail)
    if fits is None or not math.isfinite(float(fits.ks_distances[0])):
        return None
    start = int(fits.starts[0])
    return PowerLaw(
        alpha=float(fits.alphas[0]),
        x_min=float(ordered[0, start]),
        ks_distance=float(fits.ks_distances[0]),
        num_tail=ordered.shape[1] - start,
    )


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Tails:
    """Power laws of several samples; a sample that has none has an infinite distance."""

    alphas: Float[Tensor, " samples"]
    starts: Int[Tensor, " samples"]
    """Where in the sorted sample the tail begins."""
    ks_distances: Float[Tensor, " samples"]


def fit_tails(values: Float[Tensor, "samples values"], min_tail: int = 10) -> Tails | None:
    """Fit a power law to each of several samples of equal size, sorted; the result is that of trying every x_min.

    Sums over tails are differences of one running sum, so all alphas cost one pass. A distance is a largest difference,
    so that at a few points of a tail is a bound from below; a candidate whose bound is above the best distance needs
    no second look.

    Returns:
        The fits, or None where the samples have fewer values than a tail needs.
    """
    if values.shape[1] < max(min_tail, 2):
        return None
    size = max(1, CHUNK // (values.shape[1] * NUM_PROBES))
    parts = [_fit(some, max(min_tail, 2)) for some in torch.split(values, size)]
    return Tails(
        alphas=torch.cat([part.alphas for part in parts]),
        starts=torch.cat([part.starts for part in parts]),
        ks_distances=torch.cat([part.ks_distances for part in parts]),
    )


def _fit(values: Float[Tensor, "samples values"], min_tail: int) -> Tails:
    logs = (values / values[:, -1:]).log()
    num_values = values.shape[1]
    first = torch.arange(num_values - min_tail + 1)
    slopes = _slopes(logs, min_tail)
    bounds = _bounds(logs, slopes)
    # A value that stands several times begins a tail once, and equal values make no tail.
    repeated = torch.zeros_like(bounds, dtype=torch.bool)
    repeated[:, 1:] = logs[:, 1 : len(first)] == logs[:, : len(first) - 1]
    bounds = torch.where(repeated | ~slopes.isfinite(), torch.inf, bounds)
    order = bounds.argsort(dim=1, stable=True)
    best = torch.full((len(values),), torch.inf, dtype=torch.float64)
    chosen = order[:, 0].clone()
    open_ = torch.arange(len(values))
    for start in range(0, len(first), NUM_AT_ONCE):
        some = order[open_, start : start + NUM_AT_ONCE]
        open_ = open_[(bounds[open_].gather(1, some[:, :1]) < best[open_, None]).squeeze(1)]
        if not len(open_):
            break
        some = order[open_, start : start + NUM_AT_ONCE]
        distances = _distances(logs[open_], slopes[open_].gather(1, some), some)
        distances = torch.where(bounds[open_].gather(1, some).isinf(), torch.inf, distances)
        least, place = distances.min(dim=1)
        better = least < best[open_]
        best[open_[better]] = least[better]
        chosen[open_[better]] = some.gather(1, place[:, None]).squeeze(1)[better]
    return Tails(
        alphas=1 + slopes.gather(1, chosen[:, None]).squeeze(1), starts=chosen, ks_distances=best
    )


def _slopes(
    logs: Float[Tensor, "samples values"], min_tail: int
) -> Float[Tensor, "samples candidates"]:
    """Return alpha - 1 of the tails that begin at each value."""
    num_values = logs.shape[1]
    counts = num_values - torch.arange(num_values, dtype=torch.float64)
    excess = logs.flip(1).cumsum(1).flip(1) - counts * logs
    # What is left of rounding where all values of a tail are equal.
    noise = 1e-13 * counts * (1 + logs.abs())
    return torch.where(excess > noise, counts / excess, torch.inf)[:, : num_values - min_tail + 1]


def _bounds(
    logs: Float[Tensor, "samples values"], slopes: Float[Tensor, "samples candidates"]
) -> Float[Tensor, "samples candidates"]:
    """Return the distance of each tail from its law at some of its points."""
    num_values, num_candidates = logs.shape[1], slopes.shape[1]
    counts = num_values - torch.arange(num_candidates)
    steps = (counts[:, None] * (torch.arange(NUM_PROBES) + 1)) // (NUM_PROBES + 1)
    places = torch.arange(num_candidates)[:, None] + steps
    above = logs[:, places] - logs[:, :num_candidates, None]
    shares = steps / counts[:, None].double()
    apart = (1 - (above * -slopes[:, :, None]).exp() - shares).abs()
    return apart.amax(dim=2)


def _distances(
    logs: Float[Tensor, "samples values"],
    slopes: Float[Tensor, "samples some"],
    starts: Int[Tensor, "samples some"],
) -> Float[Tensor, "samples some"]:
    """Return the distance of each tail from its law."""
    num_values = logs.shape[1]
    above = logs[:, None] - logs.gather(1, starts)[:, :, None]
    steps = torch.arange(num_values) - starts[:, :, None]
    shares = steps / (num_values - starts).double()[:, :, None]
    apart = (1 - (above * -slopes[:, :, None]).exp() - shares).abs()
    return torch.where(steps >= 0, apart, 0.0).amax(dim=2)
