"""The equations against drawn fields, against gradient descent, and against solutions known beforehand."""

import numpy
import pytest

from oracles.order_parameters import averages, descended
from surplus.passes.order_parameters import (
    OrderParameters,
    Rates,
    i2,
    i3,
    i4,
    integrated,
    j2,
    velocity,
)


def drawn(K=3, M=2, N=300, seed=0, fan_out=False):
    rng = numpy.random.default_rng(seed)
    w, B = rng.standard_normal((K, N)), rng.standard_normal((M, N))
    v = rng.standard_normal(K) if fan_out else numpy.ones(K)
    return w, v, B


def state_of(w, v, B):
    N = w.shape[1]
    return OrderParameters(w @ w.T / N, w @ B.T / N, B @ B.T / N, v, numpy.ones(len(B)))


def test_the_integrals_are_averages_over_fields():
    root = numpy.random.default_rng(3).standard_normal((5, 7)) * 0.6
    C = root @ root.T
    found = i2(C), j2(C, 3), i3(C, 3), i4(C, 3)
    for exact, sampled in zip(found, averages(C, 3), strict=True):
        assert exact.shape == sampled.shape
        assert numpy.abs(exact - sampled).max() < 0.01
        assert numpy.abs(exact).max() > 0.2


def test_a_student_that_is_the_teacher_makes_no_error_and_stays():
    _, _, B = drawn()
    state = state_of(B, numpy.ones(2), B)
    assert state.generalisation_error == pytest.approx(0, abs=1e-15)
    still = velocity(state, Rates(0.2, 0.2, 0.0))
    assert all(numpy.abs(each).max() < 1e-14 for each in still)


def test_noise_moves_even_the_teacher():
    _, _, B = drawn()
    found = velocity(state_of(B, numpy.ones(2), B), Rates(0.2, 0.0, 0.1))
    assert numpy.linalg.eigvalsh(found.Q).min() > 0
    assert numpy.abs(found.R).max() < 1e-14


def test_units_may_be_named_in_any_order():
    """And what does not learn its fan-out keeps it."""
    w, v, B = drawn(fan_out=True)
    order = [2, 0, 1]
    rates = Rates(0.3, 0.0, 0.1)
    one = integrated(state_of(w, v, B), rates, [0.0, 3.0])[-1]
    other = integrated(state_of(w[order], v[order], B), rates, [0.0, 3.0])[-1]
    numpy.testing.assert_allclose(one.Q[numpy.ix_(order, order)], other.Q, rtol=1e-10)
    numpy.testing.assert_allclose(one.R[order], other.R, rtol=1e-10)
    assert one.generalisation_error == pytest.approx(other.generalisation_error, rel=1e-10)
    assert (one.v == v).all()


def test_a_tenth_of_the_tolerance_changes_little():
    state = state_of(*drawn(fan_out=True))
    rates = Rates(0.2, 0.2, 0.1)
    coarse, fine = (
        integrated(state, rates, [0.0, 5.0, 20.0], tolerance)[-1].generalisation_error
        for tolerance in (1e-7, 1e-8)
    )
    assert coarse == pytest.approx(fine, rel=1e-5)


@pytest.mark.parametrize("fan_out_rate", [0.0, 0.2])
def test_gradient_descent_follows_the_equations(fan_out_rate):
    """N = 300: fluctuations of a few per cent remain."""
    w, v, B = drawn(fan_out=fan_out_rate > 0)
    rates = Rates(0.2, fan_out_rate, 0.1)
    end = 10
    expected = integrated(state_of(w, v, B), rates, [0.0, float(end)])[-1]
    found = state_of(*descended(w, v, B, rates, end * 300, seed=1), B)
    assert found.generalisation_error == pytest.approx(expected.generalisation_error, rel=0.15)
    assert numpy.abs(found.R - expected.R).max() < 0.12
    assert numpy.abs(found.v - expected.v).max() < 0.1


def asymptote(K, learnt, seed=0, end=1500.0):
    w, v, B = drawn(K=K, N=500, seed=seed, fan_out=learnt)
    rates = Rates(0.2, 0.2 if learnt else 0.0, 0.1)
    return integrated(state_of(w, v, B), rates, [0.0, end])[-1].generalisation_error


@pytest.mark.slow
def test_surplus_units_cost_nothing_once_both_layers_learn():
    """The planted numbers: 4e-4 to 2.3e-3 from K = 2 to 6 with a fixed fan-out, 3.3e-4 to 3.9e-4 with a learnt one."""
    assert asymptote(2, False) == pytest.approx(4.0e-4, rel=0.2)
    assert asymptote(6, False) == pytest.approx(2.3e-3, rel=0.2)
    assert asymptote(6, True) == pytest.approx(3.5e-4, rel=0.2)
