"""Spectra of weight matrices: singular values, the law of noise, power laws, ranks, phases."""

from surplus.passes.spectra.bulk import RESOLVED, Bulk, fit_bulk
from surplus.passes.spectra.controls import permuted_singular_values
from surplus.passes.spectra.log_normal import Comparison, against_log_normal
from surplus.passes.spectra.low_rank import Decomposed, powers_of_two, random_directions
from surplus.passes.spectra.marchenko_pastur import MarchenkoPastur
from surplus.passes.spectra.phases import PHASES, Phase, collapsed_share, phase_of
from surplus.passes.spectra.power_law import PowerLaw, fit_power_law, fit_tails
from surplus.passes.spectra.ranks import (
    effective_rank,
    elbow,
    numerical_rank,
    participation_ratio,
    relative_errors,
    spectral_entropy,
    stable_rank,
)
from surplus.passes.spectra.singular import singular_values

__all__ = [
    "PHASES",
    "RESOLVED",
    "Bulk",
    "Comparison",
    "Decomposed",
    "MarchenkoPastur",
    "Phase",
    "PowerLaw",
    "against_log_normal",
    "collapsed_share",
    "effective_rank",
    "elbow",
    "fit_bulk",
    "fit_power_law",
    "fit_tails",
    "numerical_rank",
    "participation_ratio",
    "permuted_singular_values",
    "phase_of",
    "powers_of_two",
    "random_directions",
    "relative_errors",
    "singular_values",
    "spectral_entropy",
    "stable_rank",
]
