"""Evidence: what the numbers say of a claim, and the rules by which a verdict is reached.

All intervals are of 95 %: of the claims that are just not true, one in forty would be said to hold.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

import numpy
from scipy import stats

from surplus.base import InvalidArgument

Verdict = Literal["holds", "fails", "undecided"]
LEVEL = 0.95
RESAMPLES = 10_000
Draws = Iterable[float | None]


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """A verdict with the number on which it rests."""

    verdict: Verdict
    """"holds", "fails" or "undecided"."""
    what: str
    """What the number is, with its unit."""
    estimate: float | None
    """The number."""
    lower: float | None
    """The interval of it; None where there is none."""
    upper: float | None
    n: int
    """How many replicas, or trials, it rests on."""
    reason: str = ""
    """Why the claim is undecided."""

    def __str__(self) -> str:
        return f"{self.verdict}: {self.number()}" + (f" ({self.reason})" if self.reason else "")

    def number(self) -> str:
        """Return the number with its interval and n, in words."""
        if self.estimate is None:
            return f"{self.what}: no number (n = {self.n})"
        interval = ""
        if self.lower is not None and self.upper is not None:
            interval = f", 95 % interval {_shown(self.lower)} to {_shown(self.upper)}"
        return f"{self.what}: {_shown(self.estimate)} (n = {self.n}{interval})"


def above(
    draws: Draws, *, what: str, bound: float = 0.0, least: float = 0.0, among: int = 1
) -> Evidence:
    """Test whether the mean of independent draws, one for each replica, lies above a bound, by Student's interval.

    It holds if the whole interval lies above `bound`; it fails if the whole interval lies below `bound + least`; and is
    undecided otherwise. So an effect that is certain but smaller than `least` counts as none.

    Args:
        draws: One number per replica; for arms that share their seeds, the paired differences. None or NaN is a
            censored draw, one that never got there, which leaves the claim undecided.
        what: What the number is, with its unit.
        bound: What the mean is compared with.
        least: The smallest distance from the bound that would matter.
        among: How many such tests the claim makes; the error is divided among them (Bonferroni).

    Raises:
        InvalidArgument: `least` is negative.

    Example:
        >>> above([1.0, 2.0, 3.0], what="gain, points", bound=0.0, least=0.1).verdict
        'undecided'
        >>> above([1.9, 2.0, 2.1], what="gain, points", bound=0.0, least=0.1).verdict
        'holds'
    """
    values, censored = _split(draws)
    few = _unusable(values, censored, what)
    if few is not None:
        return few
    mean = float(numpy.mean(values))
    half = float(stats.t.ppf(_upper_tail(among), len(values) - 1) * stats.sem(values))
    return _judged(mean, mean - half, mean + half, len(values), what, bound, least)


def below(
    draws: Draws, *, what: str, bound: float = 0.0, least: float = 0.0, among: int = 1
) -> Evidence:
    """Test whether the mean of draws lies below a bound; the mirror image of `above`."""
    mirrored = above(
        [None if each is None else -each for each in draws],
        what=what,
        bound=-bound,
        least=least,
        among=among,
    )
    return _mirrored(mirrored)


def apart(some: Draws, other: Draws, *, what: str, least: float = 0.0, among: int = 1) -> Evidence:
    """Test whether the mean of some draws lies above that of others which share no seeds, by Welch's interval."""
    (first, lost), (second, lost_too) = _split(some), _split(other)
    few = _unusable(min(first, second, key=len), lost + lost_too, what)
    if few is not None:
        return few
    difference = float(numpy.mean(first) - numpy.mean(second))
    num = len(first) + len(second)
    squares = [float(stats.sem(each)) ** 2 for each in (first, second)]
    if not sum(squares):
        return _judged(difference, difference, difference, num, what, 0.0, least)
    freedom = sum(squares) ** 2 / sum(
        square**2 / (len(each) - 1) for square, each in zip(squares, (first, second), strict=True)
    )
    half = float(stats.t.ppf(_upper_tail(among), freedom)) * math.sqrt(sum(squares))
    return _judged(difference, difference - half, difference + half, num, what, 0.0, least)


def share_above(
    num: int, n: int, *, what: str, bound: float, least: float = 0.0, among: int = 1
) -> Evidence:
    """Test whether a probability lies above a bound, given `num` successes in `n` trials, by the exact interval.

    Reference: clopper1934use.

    Example:
        >>> print(share_above(9, 10, what="share of heads", bound=0.5))
        holds: share of heads: 0.9 (n = 10, 95 % interval 0.555 to 0.9975)
    """
    if not n:
        return Evidence(
            verdict="undecided",
            what=what,
            estimate=None,
            lower=None,
            upper=None,
            n=0,
            reason="no runs",
        )
    interval = stats.binomtest(num, n).proportion_ci(1 - (1 - LEVEL) / among, method="exact")
    return _judged(num / n, float(interval.low), float(interval.high), n, what, bound, least)


def bootstrapped(
    draws: Sequence[float],
    statistic: Callable[..., float],
    *,
    what: str,
    bound: float = 0.0,
    least: float = 0.0,
    among: int = 1,
) -> Evidence:
    """Test whether a statistic of the replicas' numbers that is no mean, such as a median, lies above a bound.

    The interval is the bias-corrected and accelerated bootstrap's, whose draws always begin at the same seed. Below
    eight replicas it says too little: the claim is undecided.

    Reference: efron1987better, Section 2.
    """
    values, censored = _split(draws)
    few = _unusable(values, censored, what, least=8)
    if few is not None:
        return few
    drawn = stats.bootstrap(
        (numpy.asarray(values),),
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=1 - (1 - LEVEL) / among,
        rng=numpy.random.default_rng(0),
    ).confidence_interval
    found = float(statistic(numpy.asarray(values)))
    lower, upper = float(drawn.low), float(drawn.high)
    if math.isnan(lower):  # all replicas agree
        lower = upper = found
    return _judged(found, lower, upper, len(values), what, bound, least)


def all_of(parts: Mapping[str, Evidence]) -> Evidence:
    """Return the evidence for a claim that says several things: it holds if all do, and fails if one fails.

    The number shown is that of the part that decides: the first that fails, else the first that is undecided, else the
    first. Give `among=len(parts)` to the test of each part.

    Raises:
        InvalidArgument: there are no parts.
    """
    if not parts:
        raise InvalidArgument("`all_of` was given no evidence; a claim needs at least one part.")
    for verdict in ("fails", "undecided"):
        found = {name: each for name, each in parts.items() if each.verdict == verdict}
        if found:
            name, each = next(iter(found.items()))
            return replace(
                each, what=f"{each.what}, {name} ({len(found)} of {len(parts)} {verdict})"
            )
    name, each = next(iter(parts.items()))
    return replace(each, what=f"{each.what}, {name} (first of {len(parts)}; all hold)")


def undecided(what: str, reason: str, n: int = 0) -> Evidence:
    """Return that nothing can be said, and why."""
    return Evidence(
        verdict="undecided", what=what, estimate=None, lower=None, upper=None, n=n, reason=reason
    )


def _split(draws: Draws) -> tuple[list[float], int]:
    values = [float("nan") if each is None else float(each) for each in draws]
    kept = [each for each in values if not math.isnan(each)]
    return kept, len(values) - len(kept)


def _unusable(values: list[float], censored: int, what: str, least: int = 2) -> Evidence | None:
    n = len(values) + censored
    if censored:
        return undecided(what, f"censored: {censored} of {n} runs never got there", n)
    if n < least:
        return replace(
            undecided(what, f"too few runs: {n} of at least {least}", n), estimate=_mean(values)
        )
    return None


def _mean(values: list[float]) -> float | None:
    return float(numpy.mean(values)) if values else None


def _upper_tail(among: int) -> float:
    return 1 - (1 - LEVEL) / 2 / among


def _judged(
    estimate: float, lower: float, upper: float, n: int, what: str, bound: float, least: float
) -> Evidence:
    if least < 0:
        raise InvalidArgument(f"`least` is {least:g}; it is a distance and must not be negative.")
    verdict: Verdict = "undecided"
    if upper < bound + least or (upper == lower == bound):
        verdict = "fails"
    elif lower > bound:
        verdict = "holds"
    reason = "too few runs: the interval is too wide to tell" if verdict == "undecided" else ""
    return Evidence(
        verdict=verdict, what=what, estimate=estimate, lower=lower, upper=upper, n=n, reason=reason
    )


def _mirrored(found: Evidence) -> Evidence:
    def turned(value: float | None) -> float | None:
        return None if value is None else -value

    return replace(
        found,
        estimate=turned(found.estimate),
        lower=turned(found.upper),
        upper=turned(found.lower),
    )


def _shown(value: float) -> str:
    return f"{value:.4g}"
