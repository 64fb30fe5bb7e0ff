import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from surplus.passes.geometry import (
    directions,
    frame_potential,
    frame_potential_along,
    frame_potential_bounds,
    squared_overlaps,
)


def random_rows(units, fan_in, seed):
    return torch.randn(units, fan_in, generator=torch.Generator().manual_seed(seed))


def naive(W):
    rows = [row / row.norm() for row in W.double() if row.norm() > 0]
    return sum(float(a @ b) ** 2 for a in rows for b in rows)


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 50))
def test_frame_potential_equals_the_double_sum_and_keeps_its_bounds(units, fan_in, seed):
    W = random_rows(units, fan_in, seed)
    potential = frame_potential(W)
    assert potential == pytest.approx(naive(W), rel=1e-9)
    least, greatest = frame_potential_bounds(units, fan_in)
    assert least * (1 - 1e-9) <= potential <= greatest * (1 + 1e-9)


def test_planted_frames():
    """Orthonormal, collinear, a simplex, and twice an orthonormal basis (a tight frame)."""
    assert frame_potential(torch.eye(5)) == pytest.approx(5)
    assert frame_potential(torch.ones(6, 3) * torch.arange(1, 7)[:, None]) == pytest.approx(36)
    simplex = torch.eye(4) - 0.25
    assert frame_potential(simplex) / 16 == pytest.approx(1 / 3)
    assert frame_potential(torch.cat([torch.eye(3), -torch.eye(3)])) == pytest.approx(
        frame_potential_bounds(6, 3)[0]
    )


def test_random_directions_have_the_expected_potential():
    found = [frame_potential(random_rows(40, 25, seed)) for seed in range(60)]
    assert sum(found) / len(found) == pytest.approx(40 + 40 * 39 / 25, rel=0.01)


def test_zero_rows_are_left_out():
    W = random_rows(5, 4, 0)
    with_zero = torch.cat([W, torch.zeros(2, 4)])
    assert frame_potential(with_zero) == pytest.approx(frame_potential(W))
    assert frame_potential(with_zero, torch.tensor([True] * 5 + [False] * 2)) == pytest.approx(
        frame_potential(W)
    )
    assert not directions(with_zero)[5:].any()


@given(st.integers(2, 7), st.integers(1, 6), st.integers(0, 50), st.integers(1, 7))
def test_along_an_order_it_is_the_potential_of_what_is_left(units, fan_in, seed, length):
    W = random_rows(units, fan_in, seed)
    order = torch.randperm(units, generator=torch.Generator().manual_seed(seed))[:length]
    found = frame_potential_along(W, order)
    for removed in range(len(order) + 1):
        left = torch.ones(units, dtype=torch.bool)
        left[order[:removed]] = False
        assert float(found[removed]) == pytest.approx(naive(W[left]), rel=1e-9, abs=1e-9)


def test_contributions_sum_to_the_potential():
    W = random_rows(6, 3, 2)
    overlaps = squared_overlaps(directions(W))
    assert float(overlaps.sum()) == pytest.approx(frame_potential(W))
