"""Whether a log-normal law describes a tail better than a power law."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

SQRT_2 = math.sqrt(2)
LEAST_CUT, GREATEST_CUT = -30.0, 1e3
"""Beyond these a normal law cut off there is one of almost equal values, or an exponential one."""


class Comparison(NamedTuple):
    """A power law against a log-normal law on one tail."""

    log_likelihood_ratio: float
    """Positive where the power law is likelier; never much, since it is a limit of the other."""
    p_value: float
    """Of a ratio as far from zero as this where neither is better."""


def against_log_normal(tail: Float[Tensor, " values"], x_min: float, alpha: float) -> Comparison:
    """Compare the power law of a tail with the log-normal law of greatest likelihood above the same x_min.

    In y = ln(x / x_min) the two are an exponential and a normal law cut off at zero. Of the latter, mean and mean
    square tell both parameters; where the mean square is at least twice the squared mean, the likeliest one is the
    exponential itself, and the ratio is 0.

    Reference: clauset2009power, Section 5.1 and Equation C.6.
    """
    y = (tail.double() / x_min).log()
    mean, square = float(y.mean()), float(y.square().mean())
    if square <= mean**2 * (1 + 1e-12) or square >= 2 * mean**2:
        return Comparison(0.0, 1.0)
    low, high = LEAST_CUT, GREATEST_CUT
    for _ in range(100):
        cut = (low + high) / 2
        if _spread(cut) < square / mean**2:
            low = cut
        else:
            high = cut
    width = mean / (_hazard(low) - low)
    z = y / width + low
    # The normalisation of a normal law cut off at `low`: log of its density there over the hazard.
    normal = -z.square() / 2 + low**2 / 2 + math.log(_hazard(low)) - math.log(width)
    power = math.log(alpha - 1) - (alpha - 1) * y
    difference = power - normal
    ratio, deviation = float(difference.sum()), float(difference.std(correction=0))
    if deviation == 0:
        return Comparison(0.0, 1.0)
    return Comparison(ratio, math.erfc(abs(ratio) / (SQRT_2 * deviation * math.sqrt(len(y)))))


def _hazard(cut: float) -> float:
    """Return the density over the share above of the standard normal law."""
    scaled = torch.special.erfcx(torch.tensor(cut / SQRT_2, dtype=torch.float64))
    return math.sqrt(2 / math.pi) / float(scaled)


def _spread(cut: float) -> float:
    """Return mean square over squared mean of x - cut, for a standard normal x above the cut: from 1 to 2."""
    hazard = _hazard(cut)
    return (1 - cut * hazard + cut**2) / (hazard - cut) ** 2
