"""The 5 + 1 phases of a weight matrix, by a rule."""

from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor

from surplus.passes.spectra.bulk import RESOLVED, Bulk
from surplus.passes.spectra.log_normal import Comparison
from surplus.passes.spectra.power_law import PowerLaw

Phase = Literal[
    "random-like",
    "bleeding-out",
    "bulk and spikes",
    "bulk-decay",
    "heavy-tailed",
    "rank collapse",
]
PHASES: tuple[Phase, ...] = get_args(Phase)
"""In the order in which training is said to pass through them."""

COLLAPSED_SHARE = 0.05
COLLAPSED = 1e-6
FITTING_DISTANCE, FITTING_COUNT = 0.05, 2.5
SPIKE_SHARE = 0.1
GAP = 1.5
GREATEST_ALPHA = 6.0
TAIL_DISTANCE = 1.09
LIKELIER = 0.1


def collapsed_share(eigenvalues: Float[Tensor, " values"]) -> float:
    """Return the share of eigenvalues that are next to nothing beside the median of those that are not zero.

    Not beside the largest: a single spike is no loss of rank.

    Example:
        >>> from torch import tensor
        >>> collapsed_share(tensor([1e9, 1.0, 1.0, 1e-9])), collapsed_share(tensor([1.0, 0.0, 0.0, 0.0]))
        (0.25, 0.75)
    """
    values = eigenvalues.double()
    nonzero = values[values > RESOLVED * values.max()]
    if not len(nonzero):
        return 1.0
    least = max(RESOLVED * float(values.max()), COLLAPSED * float(nonzero.median()))
    return float((values <= least).double().mean())


def phase_of(
    eigenvalues: Float[Tensor, " values"],
    bulk: Bulk | None,
    tail: PowerLaw | None,
    comparison: Comparison | None,
    num_control_spikes: float | int,
) -> Phase:
    """Name the phase of a spectrum.

    The first that applies: *rank collapse*, more than 5 % of the eigenvalues are next to nothing; *random-like*, the
    law of noise fits and nothing stands out; *heavy-tailed*, it fits, and at least half as many stand out where the
    entries are permuted, so that they are large entries and no directions; *bleeding-out* and *bulk and spikes*, it
    fits, and at most a tenth stand out, by less or more than half of the edge; *heavy-tailed*, it does not fit, and a
    power law with alpha up to 6 does, no worse than a log-normal law; *bulk-decay*, anything else.

    Args:
        eigenvalues: All of them.
        bulk: The fit of noise, or None where there is none.
        tail: The power law, or None where there is none.
        comparison: Of the power law with a log-normal one.
        num_control_spikes: How many spikes the permuted matrix has, as the median of several draws.

    Reference: own; decisions/0014-phases.md. The phases are those of martin2021implicit, Section 5.
    """
    if collapsed_share(eigenvalues) > COLLAPSED_SHARE:
        return "rank collapse"
    if bulk is not None and _fits(bulk):
        if bulk.num_spikes == 0:
            return "random-like"
        if 2 * num_control_spikes >= bulk.num_spikes:
            return "heavy-tailed"
        if bulk.num_spikes <= SPIKE_SHARE * bulk.num_values:
            return "bleeding-out" if bulk.largest < GAP * bulk.law.upper else "bulk and spikes"
    return "heavy-tailed" if _heavy(tail, comparison) else "bulk-decay"


def _fits(bulk: Bulk) -> bool:
    # Few values cannot come closer to any law than a few of their steps.
    return bulk.has_edge and bulk.ks_distance < max(
        FITTING_DISTANCE, FITTING_COUNT / bulk.num_values
    )


def _heavy(tail: PowerLaw | None, comparison: Comparison | None) -> bool:
    if tail is None or tail.alpha > GREATEST_ALPHA:
        return False
    if tail.ks_distance > TAIL_DISTANCE / tail.num_tail**0.5:
        return False
    return comparison is None or comparison.p_value > LIKELIER
