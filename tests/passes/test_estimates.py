import math

import pytest
import torch

from surplus.passes import Estimate, difference, mean_estimate, share_estimate
from surplus.passes.estimates import quantile_of_student


def test_students_quantiles_are_those_of_the_tables():
    table = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 9: 2.262, 29: 2.045, 999: 1.962}
    for degrees, value in table.items():
        assert quantile_of_student(degrees) == pytest.approx(value, abs=4e-3)


def test_about_95_of_100_intervals_hold_the_truth():
    generator = torch.Generator().manual_seed(0)
    held = sum(
        found.lower <= 3 <= found.upper
        for values in 3 + torch.randn(4000, 5, generator=generator)
        for found in [mean_estimate(values)]
    )
    assert 0.94 < held / 4000 < 0.96


@pytest.mark.parametrize("n", [1, 7, 10_000])
def test_a_share_stays_inside_its_interval_and_that_in_its_range(n):
    for num in {0, 1, n // 2, n}:
        share, lower, upper, counted = share_estimate(num, n)
        assert (share, counted) == (num / n, n)
        assert 0 <= lower <= share <= upper <= 1 and lower < upper


def test_wilsons_interval_solves_its_equation():
    """Its ends are the shares from which the observed one lies 1.96 standard deviations away."""
    found = share_estimate(37, 50)
    for end in (found.lower, found.upper):
        assert abs(0.74 - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / 50))


def test_the_difference_of_symmetric_intervals_adds_squares():
    found = difference(Estimate(5, 2, 8, 100), Estimate(1, -3, 5, 40))
    assert found == (4, -1, 9, 40)
    # The example of the paper's Table II: 56 of 70 and 48 of 80.
    found = difference(share_estimate(56, 70), share_estimate(48, 80))
    assert found[:3] == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
