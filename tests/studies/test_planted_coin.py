"""The planted study: a coin with a known bias gets the right verdict at the stated error rate."""

import numpy
import pandas
import pytest

from flipping import Coin
from running import context
from surplus.studies import Found, study

REPETITIONS = 1000
AT_MOST = 45  # of 1,000 at an error of 2.5 %: more come by chance once in 10,000


def verdicts(bias: float, num_seeds: int, num_flips: int = 4, repetitions: int = REPETITIONS):
    """Return the verdicts on both claims over simulated repetitions."""
    chance = numpy.random.default_rng(7)
    coin = Coin(bias=bias, seeds=num_seeds, num_flips=num_flips)
    count = num_seeds * num_flips
    frame = pandas.DataFrame(
        {
            "coin": ["fair"] * count + ["loaded"] * count,
            "replica": numpy.tile(numpy.repeat(numpy.arange(num_seeds), num_flips), 2),
            "flip": numpy.tile(numpy.arange(num_flips), 2 * num_seeds),
        }
    )
    told = []
    for _ in range(repetitions):
        heads = chance.random(2 * count) < numpy.repeat([0.5, bias], count)
        evidence = coin.evidence(Found({"flip/flips": frame.assign(heads=heads)}, "default"))
        told.append({claim.name: each.verdict for claim, each in evidence.items()})
    return (
        [each["loaded-beats-fair"] for each in told],
        [each["first-is-heads"] for each in told],
    )


@pytest.mark.slow
def test_without_an_effect_it_is_said_to_hold_as_seldom_as_stated():
    paired, exact = verdicts(0.5, num_seeds=10)
    assert 5 <= paired.count("holds") <= AT_MOST
    assert exact.count("holds") <= AT_MOST


@pytest.mark.slow
def test_an_effect_that_just_matters_is_said_to_fail_as_seldom_as_stated():
    paired, exact = verdicts(0.6, num_seeds=10)
    assert paired.count("fails") <= AT_MOST and exact.count("fails") <= AT_MOST


def test_a_large_effect_is_found_and_its_absence_too():
    paired, exact = verdicts(0.95, num_seeds=30, repetitions=40)
    assert paired.count("holds") == 40 and exact.count("holds") >= 38
    paired, exact = verdicts(0.4, num_seeds=200, repetitions=30)
    assert paired.count("fails") >= 29 and exact.count("fails") >= 29


def test_an_underpowered_study_is_undecided_and_says_why():
    paired, exact = verdicts(0.6, num_seeds=3, repetitions=40)
    assert paired.count("undecided") >= 32 and exact.count("undecided") == 40
    frame = pandas.DataFrame(
        {"coin": ["fair", "loaded"], "replica": [0, 0], "flip": [0, 0], "heads": [False, True]}
    )
    found = Coin(seeds=1).evidence(Found({"flip/flips": frame}, "default"))
    reasons = {claim.name: each.reason for claim, each in found.items()}
    assert reasons["loaded-beats-fair"] == "too few runs: 1 of at least 2"
    assert "too wide" in reasons["first-is-heads"]
    assert reasons["needs-many"] == "smaller scale: default"


def test_through_the_whole_machinery(tmp_path):
    """Replicas are trained, coins flipped from their seeds, and the verdict is the true one."""
    outcome = study(Coin(seeds=12, bias=0.98), context=context(tmp_path))
    told = {claim.name: each for claim, each in outcome.evidence.items()}
    assert told["loaded-beats-fair"].verdict == "holds"
    assert told["loaded-beats-fair"].n == 12
    assert len(outcome.runs) == 12  # both coins share the runs
    flips = outcome.found["flip/flips"]
    assert len(flips) == 2 * 12 * 4
    assert list(flips)[:3] == ["coin", "replica", "run"]
    same = study(Coin(seeds=12, bias=0.5), context=context(tmp_path))
    assert {each.verdict for each in same.evidence.values()} <= {"fails", "undecided"}
