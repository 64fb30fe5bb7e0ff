"""Evidence: what the numbers say of a claim, and the rules by which a verdict is reached.

All intervals are of 95 %: of the claims that are just not true, one in forty would be said to hold. Where a claim makes
several tests, its error is divided among them.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, SupportsInt, final

import numpy
from scipy import special, stats

from surplus.base import InvalidArgument

Verdict = Literal["holds", "fails", "undecided"]
LEVEL = 0.95
RESAMPLES = 10_000
ENOUGH = 20  # replicas for a bootstrap
Draws = Iterable[float | int | None]


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
    level: float = LEVEL
    """The confidence of the interval; where a claim makes several tests, more than 95 %."""

    def __str__(self) -> str:
        return f"{self.verdict}: {self.number()}" + (f" ({self.reason})" if self.reason else "")

    def number(self) -> str:
        """Return the number with its interval and n, in words."""
        if self.estimate is None:
            return f"{self.what}: no number (n = {self.n})"
        interval = ""
        if self.lower is not None and self.upper is not None:
            words = f"{100 * self.level:.4g} % interval"
            interval = f", {words} {_shown(self.lower)} to {_shown(self.upper)}"
        return f"{self.what}: {_shown(self.estimate)} (n = {self.n}{interval})"


def above(
    draws: Draws, *, what: str, bound: float = 0.0, least: float = 0.0, among: int = 1
) -> Evidence:
    """Test whether the mean of independent draws, one for each replica, lies above a bound, by Student's interval.

    It holds if the whole interval lies above `bound`; it fails if the whole interval lies below `bound + least`; and is
    undecided otherwise. So an effect that is certain but smaller than `least` counts as none.

    Args:
        draws: One number per replica; for arms that share their seeds, the paired differences. None, NaN or infinity is
            a censored draw, one that never got there, which leaves the claim undecided.
        what: What the number is, with its unit.
        bound: What the mean is compared with.
        least: The smallest distance from the bound that would matter.
        among: How many such tests the claim makes; the error is divided among them (Bonferroni).

    Raises:
        InvalidArgument: `least` is negative, or `among` is below 1.

    Example:
        >>> above([1.0, 2.0, 3.0], what="gain, points", bound=0.0, least=0.1).verdict
        'undecided'
        >>> above([1.9, 2.0, 2.1], what="gain, points", bound=0.0, least=0.1).verdict
        'holds'
    """
    rule = _Rule(what, bound, least, among)
    values, censored = _split(draws)
    few = _unusable(what, len(values) + censored, censored, _mean(values))
    if few is not None:
        return few
    mean = values[0] if min(values) == max(values) else float(numpy.mean(values))
    half = _quantile(rule, float(len(values) - 1)) * math.sqrt(_squared_error(values))
    return rule.judged(mean, mean - half, mean + half, len(values))


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
    rule = _Rule(what, 0.0, least, among)
    (first, lost), (second, lost_too) = _split(some), _split(other)
    num, censored = len(first) + len(second) + lost + lost_too, lost + lost_too
    difference = float(numpy.mean(first) - numpy.mean(second)) if first and second else None
    shorter = min(len(first) + lost, len(second) + lost_too)
    few = _unusable(what, num, censored, difference, smallest=shorter)
    if few is not None:
        return few
    assert difference is not None
    squares = [_squared_error(each) for each in (first, second)]
    if not sum(squares):
        return rule.judged(difference, difference, difference, num)
    freedom = sum(squares) ** 2 / sum(
        square**2 / (len(each) - 1) for square, each in zip(squares, (first, second), strict=True)
    )
    half = _quantile(rule, freedom) * math.sqrt(sum(squares))
    return rule.judged(difference, difference - half, difference + half, num)


def share_above(
    num: SupportsInt,
    n: SupportsInt,
    *,
    what: str,
    bound: float,
    least: float = 0.0,
    among: int = 1,
) -> Evidence:
    """Test whether a probability lies above a bound, given `num` successes in `n` trials, by the exact interval.

    Raises:
        InvalidArgument: `num` is no count of trials, `least` is negative, or `among` is below 1.

    Reference: clopper1934use.

    Example:
        >>> print(share_above(9, 10, what="share of heads", bound=0.5))
        holds: share of heads: 0.9 (n = 10, 95 % interval 0.555 to 0.9975)
    """
    rule = _Rule(what, bound, least, among)
    num, n = int(num), int(n)
    if not 0 <= num <= n:
        raise InvalidArgument(
            f"`num` is {num} and `n` is {n}; there are 0 to n successes in n trials."
        )
    if not n:
        return undecided(what, "no runs")
    interval = stats.binomtest(num, n).proportion_ci(rule.level, method="exact")
    return rule.judged(num / n, float(interval.low), float(interval.high), n)


def bootstrapped(
    draws: Draws,
    statistic: Callable[..., float],
    *,
    what: str,
    bound: float = 0.0,
    least: float = 0.0,
    among: int = 1,
) -> Evidence:
    """Test whether a statistic of the replicas' numbers that is no mean, such as a median, lies above a bound.

    The interval is the bias-corrected and accelerated bootstrap's, whose draws always begin at the same seed. It is too
    narrow for few replicas: of 600 intervals at eight draws, the worse end missed the median of an exponential
    distribution in 6 %, its mean in 10 % and the standard deviation of a Gaussian in 24 %, instead of 2.5 %. Below
    twenty replicas the claim is therefore undecided; at twenty it is 3, 6 and 9 %, so prefer means or medians.

    Reference: efron1987better, Section 2.
    """
    rule = _Rule(what, bound, least, among)
    values, censored = _split(draws)
    found = float(statistic(numpy.asarray(values))) if values else None
    few = _unusable(what, len(values) + censored, censored, found, needed=ENOUGH)
    if few is not None:
        return few
    assert found is not None
    if min(values) == max(values):
        return rule.judged(found, found, found, len(values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what leads to no interval, which is told below
        drawn = stats.bootstrap(
            (numpy.asarray(values),),
            statistic,
            n_resamples=RESAMPLES,
            confidence_level=rule.level,
            rng=numpy.random.default_rng(0),
        ).confidence_interval
    if math.isnan(drawn.low) or math.isnan(drawn.high):
        reason = "the bootstrap has no interval: leaving out any one replica changes nothing"
        return replace(undecided(what, reason, len(values)), estimate=found)
    return rule.judged(found, float(drawn.low), float(drawn.high), len(values))


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
        verdict="undecided",
        what=what,
        estimate=None,
        lower=None,
        upper=None,
        n=int(n),
        reason=reason,
    )


@final
class _Rule:
    """What a test compares with, and how sure it has to be."""

    def __init__(self, what: str, bound: float, least: float, among: int) -> None:
        if least < 0:
            raise InvalidArgument(
                f"`least` is {least:g}; it is a distance and must not be negative."
            )
        if among < 1:
            raise InvalidArgument(f"`among` is {among}; it counts the tests of a claim, from 1 on.")
        self._what = what
        self._bound = bound
        self._least = least
        self.level = 1 - (1 - LEVEL) / among

    @property
    def upper_tail(self) -> float:
        """The quantile at the upper end of an interval."""
        return (1 + self.level) / 2

    def judged(self, estimate: float, lower: float, upper: float, n: int) -> Evidence:
        """Return the verdict on a number, given its interval."""
        bound, enough = self._bound, self._bound + self._least
        verdict: Verdict = "undecided"
        if upper < enough or upper == lower == bound:
            verdict = "fails"
        elif lower > bound:
            verdict = "holds"
        wide = "too few runs: the interval is too wide to tell"
        return Evidence(
            verdict=verdict,
            what=self._what,
            estimate=estimate,
            lower=lower,
            upper=upper,
            n=n,
            reason=wide if verdict == "undecided" else "",
            level=self.level,
        )


def _split(draws: Draws) -> tuple[list[float], int]:
    values = [float("nan") if each is None else float(each) for each in draws]
    kept = [each for each in values if math.isfinite(each)]
    return kept, len(values) - len(kept)


def _unusable(
    what: str,
    n: int,
    censored: int,
    estimate: float | None,
    smallest: int | None = None,
    needed: int = 2,
) -> Evidence | None:
    """Return the evidence where draws allow no test: censored ones, or too few (in the smallest arm)."""
    if censored:
        return undecided(what, f"censored: {censored} of {n} runs never got there", n)
    smallest = n if smallest is None else smallest
    if smallest < needed:
        few = undecided(what, f"too few runs: {smallest} of at least {needed}", n)
        return replace(few, estimate=estimate)
    return None


def _mean(values: list[float]) -> float | None:
    return float(numpy.mean(values)) if values else None


def _quantile(rule: _Rule, freedom: float) -> float:
    """Return the upper quantile of Student's distribution."""
    return float(special.stdtrit(freedom, rule.upper_tail))


def _squared_error(values: list[float]) -> float:
    """Return the square of the mean's standard error; without spread, rounding must leave no trace of one."""
    return 0.0 if min(values) == max(values) else float(numpy.var(values, ddof=1)) / len(values)


def _mirrored(found: Evidence) -> Evidence:
    def turned(value: float | None) -> float | None:
        return None if value is None else 0.0 - value  # not -0.0

    return replace(
        found,
        estimate=turned(found.estimate),
        lower=turned(found.upper),
        upper=turned(found.lower),
    )


def _shown(value: float) -> str:
    return f"{value:.4g}"
