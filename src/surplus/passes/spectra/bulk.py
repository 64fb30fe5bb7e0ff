"""What of a spectrum is noise, and what stands out of it."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.passes.spectra.marchenko_pastur import MarchenkoPastur

NUM_SCALES = 3.0
"""How many edge scales beyond the edge a spike begins: pure noise gets there about once in a thousand matrices."""
RESOLVED = 1e-12
"""Eigenvalues below this share of the largest are zeros: a Gram matrix in float64 cannot tell."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Bulk:
    """A fit of the law of noise to a spectrum."""

    law: MarchenkoPastur
    threshold: float
    """Eigenvalues above it are spikes."""
    num_values: int
    num_spikes: int
    spike_energy: float
    """Sum of the spikes' eigenvalues."""
    bulk_energy: float
    """Sum of the other eigenvalues."""
    largest: float
    """The largest eigenvalue."""
    ks_distance: float
    """Between the eigenvalues that are no spikes and the law, after Kolmogorov and Smirnov."""
    has_edge: bool
    """False where the search for an edge would have called more than half of the eigenvalues spikes."""

    @property
    def soft_rank(self) -> float:
        """The upper edge over the largest eigenvalue: about 1 for noise, near 0 where signal stands out."""
        return self.law.upper / self.largest

    @property
    def spike_share(self) -> float:
        """The spikes' part of the energy, in [0, 1]."""
        return self.spike_energy / (self.spike_energy + self.bulk_energy)


def fit_bulk(
    eigenvalues: Float[Tensor, " values"],
    num_long: int,
    num_short: int,
    *,
    num_scales: float = NUM_SCALES,
) -> Bulk | None:
    """Fit the variance of the noise by itself: what lies beyond the edge is taken out, and the rest tells the variance.

    The first guess is the variance whose median eigenvalue is the one found, which up to half of all eigenvalues may
    disturb. From then on it is the mean of those below the threshold, until these stay the same. Where they would
    become fewer than half, the spectrum has no edge, and the first guess stands.

    Args:
        eigenvalues: s^2 / N of one matrix, or of several matrices of one shape together.
        num_long: N, the longer side of the matrix.
        num_short: M, the shorter side.
        num_scales: How many edge scales beyond the upper edge an eigenvalue must lie to be a spike.

    Returns:
        The fit, or None where at least half of the eigenvalues are zero.

    Reference: own; decisions/0014-phases.md.
    """
    values = eigenvalues.double().sort().values
    median = float(values.quantile(0.5))
    if median <= RESOLVED * float(values[-1]):
        return None
    unit = MarchenkoPastur(num_long=num_long, num_short=num_short)
    guess = median / float(unit.quantiles(torch.tensor([0.5], dtype=torch.float64)))
    variance, has_edge, tried = guess, True, set[int]()
    while True:
        law = MarchenkoPastur(num_long=num_long, num_short=num_short, variance=variance)
        threshold = law.upper + num_scales * law.edge_scale
        num_bulk = int((values <= threshold).sum())
        if num_bulk in tried:
            break
        tried.add(num_bulk)
        has_edge = 2 * num_bulk >= len(values)
        variance = float(values[:num_bulk].mean()) if has_edge else guess
    bulk = values[:num_bulk]
    return Bulk(
        law=law,
        threshold=threshold,
        num_values=len(values),
        num_spikes=len(values) - num_bulk,
        spike_energy=float(values[num_bulk:].sum()),
        bulk_energy=float(bulk.sum()),
        largest=float(values[-1]),
        ks_distance=ks_distance(law.cumulative(bulk)),
        has_edge=has_edge,
    )


def ks_distance(shares: Float[Tensor, " values"]) -> float:
    """Return the distance of Kolmogorov and Smirnov, given what share of a law lies below each sorted value.

    Example:
        >>> ks_distance(torch.tensor([0.25, 0.75], dtype=torch.float64))
        0.25
    """
    steps = torch.arange(len(shares) + 1, dtype=torch.float64) / len(shares)
    return float(torch.maximum(shares - steps[:-1], steps[1:] - shares).max())
