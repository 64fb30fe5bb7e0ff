"""The rules of evidence against SciPy, enumeration and simulation."""

import itertools
import math

import numpy
import pytest
from scipy import stats

from surplus.base import InvalidArgument
from surplus.studies import above, all_of, apart, below, bootstrapped, share_above, undecided
from surplus.studies.evidence import Evidence

DRAWS = [1.0, 2.5, 2.0, 3.5, 1.5]
OTHER = [0.1, 0.4, 0.2, 0.9]
REPETITIONS = 1000
# Of 1,000 repetitions at an error of 2.5 %, 25 are expected; more than 45 or fewer than 8 come once in 10,000 times.
AT_MOST, AT_LEAST = 45, 8


def test_the_interval_of_above_is_students():
    found = above(DRAWS, what="gain", least=0.1)
    expected = stats.ttest_1samp(DRAWS, 0).confidence_interval(0.95)
    assert (found.lower, found.upper) == pytest.approx(tuple(expected))
    assert (found.estimate, found.n, found.verdict) == (pytest.approx(2.1), 5, "holds")


def test_the_interval_of_apart_is_welchs():
    found = apart(DRAWS, OTHER, what="difference")
    expected = stats.ttest_ind(DRAWS, OTHER, equal_var=False).confidence_interval(0.95)
    assert (found.lower, found.upper) == pytest.approx(tuple(expected))
    assert found.estimate == pytest.approx(numpy.mean(DRAWS) - numpy.mean(OTHER))
    assert (found.n, found.verdict) == (9, "holds")


@pytest.mark.parametrize("among", [1, 4])
@pytest.mark.parametrize(("num", "n"), [(0, 5), (3, 7), (9, 10), (20, 20)])
def test_the_interval_of_share_above_is_exact(num, n, among):
    """Clopper and Pearson: at each end, what was seen or more extreme has just the error's probability."""
    error = 0.05 / 2 / among
    found = share_above(num, n, what="share", bound=0.5, among=among)
    assert found.lower == 0 or stats.binom.sf(num - 1, n, found.lower) == pytest.approx(error)
    assert found.upper == 1 or stats.binom.cdf(num, n, found.upper) == pytest.approx(error)


def test_bonferroni_widens_and_the_number_says_so():
    one, three = (above(DRAWS, what="gain", among=among) for among in (1, 3))
    expected = stats.ttest_1samp(DRAWS, 0).confidence_interval(1 - 0.05 / 3)
    assert (three.lower, three.upper) == pytest.approx(tuple(expected))
    assert "95 % interval" in one.number() and "98.33 % interval" in three.number()


@pytest.mark.parametrize("least", [0.0, 0.5, 5.0])
@pytest.mark.parametrize("bound", [-1.0, 0.0, 2.0, 9.0])
def test_below_mirrors_above(bound, least):
    up = above(DRAWS, what="x", bound=bound, least=least)
    down = below([-each for each in DRAWS], what="x", bound=-bound, least=least)
    assert down.verdict == up.verdict and down.n == up.n and down.reason == up.reason
    assert (down.estimate, down.lower, down.upper) == (-up.estimate, -up.upper, -up.lower)


@pytest.mark.parametrize(
    ("draws", "bound", "least", "verdict"),
    [
        ([2.0, 2.1, 1.9], 0, 0, "holds"),
        ([-2.0, -2.1, -1.9], 0, 0, "fails"),
        ([2.0, -2.1, 1.9], 0, 0, "undecided"),
        ([0.20, 0.21, 0.19], 0, 1, "fails"),  # certain, but smaller than what would matter
        ([0.01, -0.01, 0.0], 0, 1, "fails"),  # the absence of an effect is shown
        ([0.01, -0.01, 0.0], 0, 0, "undecided"),
        ([0.9, 1.1, 1.0], 0, 1, "holds"),
        ([5.0, 5.1, 4.9], 5, 0, "undecided"),
        ([1.0, 1.0, 1.0], 0, 0, "holds"),  # no spread
        ([0.0, 0.0, 0.0], 0, 0, "fails"),
        ([0.1, 0.1, 0.1], 0.1, 0, "fails"),  # 0.1 thrice has a rounded mean
        ([-1.0, -1.0], 0, 0, "fails"),
    ],
)
def test_verdicts(draws, bound, least, verdict):
    assert above(draws, what="x", bound=float(bound), least=float(least)).verdict == verdict


def test_no_number_is_shown_with_a_sign_that_it_does_not_have():
    assert str(below([0.0, 0.0], what="x")) == "fails: x: 0 (n = 2, 95 % interval 0 to 0)"


@pytest.mark.parametrize("gone", [None, math.nan, math.inf, -math.inf])
def test_a_censored_draw_leaves_every_rule_undecided(gone):
    many = [*range(30), gone]
    for found in (
        above(many, what="x"),
        below(many, what="x"),
        apart(many, range(5), what="x"),
        apart(range(5), many, what="x"),
        bootstrapped(many, numpy.median, what="x"),
    ):
        assert found.verdict == "undecided" and found.estimate is None
        assert "censored: 1 of" in found.reason and "never got there" in found.reason
    assert apart(many, range(5), what="x").n == 36


@pytest.mark.parametrize("draws", [[], [3.0]])
def test_too_few_runs_are_undecided_with_their_number(draws):
    found = above(draws, what="x")
    assert (
        found.verdict == "undecided" and found.reason == f"too few runs: {len(draws)} of at least 2"
    )
    assert found.estimate == (3.0 if draws else None)
    assert (found.lower, found.upper) == (None, None)
    two = apart(draws, [1.0, 2.0, 3.0], what="x")
    assert two.reason == f"too few runs: {len(draws)} of at least 2"
    assert (two.n, two.estimate) == (len(draws) + 3, 1.0 if draws else None)


def test_apart_without_spread():
    assert apart([1, 1], [0, 0], what="x").verdict == "holds"
    assert apart([1, 1], [1, 1], what="x").verdict == "fails"
    assert apart([0, 0], [1, 1], what="x").verdict == "fails"
    one = apart([1.0, 1.0, 1.0], [0.0, 0.5, 0.2], what="x")
    expected = stats.ttest_1samp([0.0, 0.5, 0.2], 1).confidence_interval(0.95)
    assert 1 - (one.upper - 0) == pytest.approx(expected.low, abs=1e-9)


def test_no_trials_are_undecided():
    found = share_above(0, 0, what="share", bound=0.5)
    assert (found.verdict, found.reason, found.n) == ("undecided", "no runs", 0)


@pytest.mark.message
def test_numbers_are_pythons_own_whatever_came_in():
    """Numpy's would be written to a table as `np.float64(0.5)`."""
    for found in (
        share_above(numpy.int64(3), numpy.int64(4), what="x", bound=0.5),
        above(numpy.array([1.0, 2.0]), what="x", bound=numpy.float64(0)),
        apart(numpy.array([1.0, 2.0]), numpy.array([1.0, 3.0]), what="x"),
        undecided("x", "because", numpy.int64(3)),
    ):
        for value in (found.estimate, found.lower, found.upper, found.n):
            assert type(value) in (float, int, type(None))


@pytest.mark.message
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: above([1], what="x", least=-1), "`least` is -1; it is a distance"),
        (lambda: below([], what="x", least=-0.5), "`least` is -0.5; it is a distance"),
        (lambda: apart([1], [2], what="x", among=0), "`among` is 0; it counts the tests"),
        (lambda: share_above(3, 2, what="x", bound=0.5), "`num` is 3 and `n` is 2"),
        (lambda: share_above(-1, 2, what="x", bound=0.5), "`num` is -1 and `n` is 2"),
        (lambda: bootstrapped([], numpy.median, what="x", among=-2), "`among` is -2"),
        (lambda: all_of({}), "at least one part"),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(InvalidArgument, match=words):
        call()


def test_the_bootstrap_is_scipys_and_repeats_itself():
    draws = numpy.random.default_rng(3).exponential(size=24)
    found = bootstrapped(draws, numpy.median, what="median", bound=0.1)
    expected = stats.bootstrap(
        (draws,), numpy.median, n_resamples=10_000, rng=numpy.random.default_rng(0)
    ).confidence_interval
    assert (found.lower, found.upper) == (expected.low, expected.high)
    assert found == bootstrapped(list(draws), numpy.median, what="median", bound=0.1)
    assert found.verdict == "holds"


def test_the_bootstrap_wants_twenty_replicas():
    found = bootstrapped(range(19), numpy.median, what="x")
    assert found.verdict == "undecided" and found.reason == "too few runs: 19 of at least 20"
    assert found.estimate == 9


def test_the_bootstrap_is_not_certain_of_what_it_cannot_tell():
    """Leaving out any one draw leaves the median at 2, so that there is no acceleration; the draws do differ."""
    draws = [0.0] * 8 + [2.0] * 6 + [5.0] * 8
    found = bootstrapped(draws, numpy.median, what="median", bound=1.0)
    assert (found.verdict, found.estimate) == ("undecided", 2.0)
    assert "no interval" in found.reason
    assert bootstrapped([2.0] * 20, numpy.median, what="median", bound=1.0).verdict == "holds"


def part(verdict: str, what: str) -> Evidence:
    values = {"holds": (1, 2, 3), "fails": (-3, -2, -1), "undecided": (-1, 0, 1)}[verdict]
    lower, estimate, upper = map(float, values)
    return Evidence(verdict=verdict, what=what, estimate=estimate, lower=lower, upper=upper, n=3)


@pytest.mark.parametrize(
    "verdicts", list(itertools.product(("holds", "fails", "undecided"), repeat=3))
)
def test_all_of_holds_if_all_do_and_fails_if_one_does(verdicts):
    found = all_of({str(place): part(each, "x") for place, each in enumerate(verdicts)})
    decisive = next((v for v in ("fails", "undecided") if v in verdicts), "holds")
    assert found.verdict == decisive
    assert f"x, {verdicts.index(decisive)} " in found.what
    assert str(verdicts.count(decisive)) in found.what


@pytest.mark.parametrize("n", [3, 5, 10])
def test_above_errs_as_often_as_it_says(n):
    """Where the mean is just the bound it is said to hold in 2.5 %; where it is just enough, to fail in 2.5 %."""
    draws = numpy.random.default_rng(n).normal(size=(REPETITIONS, n))
    none = [above(each, what="x", least=0.5).verdict for each in draws]
    enough = [above(each + 0.5, what="x", least=0.5).verdict for each in draws]
    assert AT_LEAST <= none.count("holds") <= AT_MOST
    assert AT_LEAST <= enough.count("fails") <= AT_MOST
    assert none.count("undecided") > 300  # underpowered, and it says so


def test_above_finds_an_effect_and_its_absence():
    draws = numpy.random.default_rng(1).normal(size=(200, 20))
    assert [above(each + 2, what="x", least=1.0).verdict for each in draws].count("holds") > 195
    assert [above(each, what="x", least=2.0).verdict for each in draws].count("fails") > 195


def test_apart_errs_as_often_as_it_says_though_spreads_differ():
    chance = numpy.random.default_rng(2)
    verdicts = [
        apart(chance.normal(0, 3, size=4), chance.normal(0, 1, size=9), what="x").verdict
        for _ in range(REPETITIONS)
    ]
    assert verdicts.count("holds") <= AT_MOST and verdicts.count("fails") <= AT_MOST
    assert verdicts.count("undecided") > 900


def test_bonferroni_keeps_the_error_of_a_family():
    """Of eight parts that are all just not true, one or more is said to hold in at most 2.5 %."""
    draws = numpy.random.default_rng(4).normal(size=(REPETITIONS // 2, 8, 5))
    wrong = sum(
        any(above(each, what="x", among=8).verdict == "holds" for each in family)
        for family in draws
    )
    assert wrong <= 27


@pytest.mark.slow
def test_the_bootstrap_errs_about_as_often_as_it_says_at_its_smallest_n():
    """Skewed draws; the docstring tells what was measured."""
    chance = numpy.random.default_rng(5)
    found = [
        bootstrapped(chance.exponential(size=20), numpy.median, what="x", bound=math.log(2))
        for _ in range(400)
    ]
    verdicts = [each.verdict for each in found]
    assert verdicts.count("holds") <= 24 and verdicts.count("fails") <= 24  # 6 %
