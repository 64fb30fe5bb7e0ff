"""Order parameters: two-layer networks learning online from a teacher, by the exact equations of a few overlaps.

With infinitely many inputs N, a student of K units that learns from a teacher of M units is described by the overlaps
of their weight vectors. Averages over inputs are averages over the K + M local fields, which are Gaussian; for the
activation g(x) = erf(x / sqrt(2)) they have closed forms.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy
from jaxtyping import Float
from numpy import ndarray


class OrderParameters(NamedTuple):
    """The state of a student with its teacher; overlaps are inner products of weight vectors, divided by N."""

    Q: Float[ndarray, "students students"]
    R: Float[ndarray, "students teachers"]
    T: Float[ndarray, "teachers teachers"]
    v: Float[ndarray, " students"]
    """The student's fan-out."""
    A: Float[ndarray, " teachers"]
    """The teacher's fan-out."""

    @property
    def covariance(self) -> Float[ndarray, "fields fields"]:
        """The covariance of the local fields, the student's first."""
        return numpy.block([[self.Q, self.R], [self.R.T, self.T]])

    @property
    def generalisation_error(self) -> float:
        """Half the mean square of what student and teacher differ by, without noise."""
        weights = numpy.concatenate([-self.v, self.A])
        return 0.5 * float(weights @ i2(self.covariance) @ weights)


class Rates(NamedTuple):
    """How a student learns: an online step changes w in proportion to rate / sqrt(N), v to fan_out_rate / N."""

    rate: float
    """eta, of the first layer."""
    fan_out_rate: float
    """eta_v, of the fan-out; 0 holds it fixed."""
    noise: float
    """sigma, the standard deviation of the noise on targets."""


def i2(C: Float[ndarray, "fields fields"]) -> Float[ndarray, "fields fields"]:
    """Return <g(a) g(b)> for all pairs of fields with covariance C.

    Reference: saad1995online, the averages over local fields; goldt2019dynamics, where there are four.
    """
    d = 1 + numpy.diag(C)
    return 2 / math.pi * numpy.arcsin(C / numpy.sqrt(numpy.outer(d, d)))


def j2(C: Float[ndarray, "fields fields"], num: int) -> Float[ndarray, "num num"]:
    """Return <g'(a) g'(b)> for all pairs of the first fields."""
    d = 1 + numpy.diag(C)[:num]
    return 2 / math.pi / numpy.sqrt(numpy.outer(d, d) - C[:num, :num] ** 2)


def i3(C: Float[ndarray, "fields fields"], num: int) -> Float[ndarray, "num fields fields"]:
    """Return <g'(a) b g(c)> for a among the first fields."""
    d = 1 + numpy.diag(C)
    da, ab, ac = d[:num, None, None], C[:num, :, None], C[:num, None, :]
    spread = da * d - ac**2
    return 2 / math.pi * (C * da - ab * ac) / (da * numpy.sqrt(spread))


def i4(C: Float[ndarray, "fields fields"], num: int) -> Float[ndarray, "num num fields fields"]:
    """Return <g'(a) g'(b) g(c) g(d)> for a and b among the first fields."""
    d = 1 + numpy.diag(C)
    da, db = d[:num, None, None], d[None, :num, None]
    ab, ac, bc = C[:num, :num, None], C[:num, None, :], C[None, :num, :]
    pair = da * db - ab**2
    own = pair * d - bc**2 * da - ac**2 * db + 2 * ab * ac * bc
    cross = (
        pair[..., None] * C
        - (bc * da)[..., None] * bc[..., None, :]
        - (ac * db)[..., None] * ac[..., None, :]
        + (ab * ac)[..., None] * bc[..., None, :]
        + (ab * bc)[..., None] * ac[..., None, :]
    )
    angle = numpy.arcsin(cross / numpy.sqrt(own[..., None] * own[..., None, :]))
    return 4 / math.pi**2 * angle / numpy.sqrt(pair)[..., None]


def velocity(state: OrderParameters, how: Rates) -> OrderParameters:
    """Return how fast a state changes, in units of N steps; the teacher's part is zero.

    Reference: goldt2019dynamics, the equations of the order parameters, with the noise of the targets.
    """
    K, v = len(state.v), state.v
    C = state.covariance
    weights = numpy.concatenate([-v, state.A])
    drift = how.rate * v[:, None] * (i3(C, K) @ weights)
    Q = drift[:, :K] + drift[:, :K].T
    Q += how.rate**2 * numpy.outer(v, v) * (i4(C, K) @ weights @ weights + how.noise**2 * j2(C, K))
    return OrderParameters(
        Q=Q,
        R=drift[:, K:],
        T=numpy.zeros_like(state.T),
        v=how.fan_out_rate * (i2(C) @ weights)[:K],
        A=numpy.zeros_like(state.A),
    )


def integrated(
    state: OrderParameters, how: Rates, times: list[float], tolerance: float = 1e-7
) -> list[OrderParameters]:
    """Return the states at rising times; the one that is given belongs to the first of them.

    Runge and Kutta's method of fourth order; a step is as long as it may be for two halves of it to end, in every entry,
    within the tolerance of the whole.
    """
    found = [state]
    step = 0.1
    for begin, end in pairwise(times):
        now = begin
        while now < end:
            tried = min(step, end - now)
            with numpy.errstate(
                invalid="ignore"
            ):  # a step too long leaves the states that there are
                whole = _stepped(state, how, tried)
                halves = _stepped(_stepped(state, how, tried / 2), how, tried / 2)
            apart = _distance(whole, halves)
            if apart <= tolerance:
                state, now = halves, now + tried
            factor = 0.9 * (tolerance / max(apart, 1e-3 * tolerance)) ** 0.2
            if (
                apart > tolerance or tried == step
            ):  # not after a step that was only cut short by `end`
                step = tried * min(max(factor, 0.2), 2.0)
        found.append(state)
    return found


def _stepped(state: OrderParameters, how: Rates, width: float) -> OrderParameters:
    first = velocity(state, how)
    second = velocity(_moved(state, first, width / 2), how)
    third = velocity(_moved(state, second, width / 2), how)
    fourth = velocity(_moved(state, third, width), how)
    mean = (
        (a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(first, second, third, fourth, strict=True)
    )
    return _moved(state, OrderParameters(*mean), width)


def _moved(state: OrderParameters, by: OrderParameters, width: float) -> OrderParameters:
    return OrderParameters(*(each + width * change for each, change in zip(state, by, strict=True)))


def _distance(one: OrderParameters, other: OrderParameters) -> float:
    """Return the largest difference of two entries; infinite where one could not be computed."""
    found = max(float(numpy.abs(a - b).max()) for a, b in zip(one, other, strict=True))
    return found if math.isfinite(found) else math.inf
