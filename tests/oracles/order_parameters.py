"""Order parameters the slow way: averages over drawn fields, and gradient descent on drawn inputs."""

import math

import numpy


def activation(x):
    return numpy.vectorize(math.erf)(x / math.sqrt(2))


def slope(x):
    return math.sqrt(2 / math.pi) * numpy.exp(-(x**2) / 2)


def fields(C, num, seed):
    """Return drawn local fields, one row for each draw."""
    return numpy.random.default_rng(seed).multivariate_normal(numpy.zeros(len(C)), C, size=num)


def averages(C, num_students, num=200_000, seed=0):
    """Return <gg>, <g'g'>, <g' b g> and <g'g'gg> by Monte Carlo."""
    z = fields(C, num, seed)
    g, s = activation(z), slope(z[:, :num_students])
    return (
        numpy.einsum("na,nb->ab", g, g) / num,
        numpy.einsum("na,nb->ab", s, s) / num,
        numpy.einsum("na,nb,nc->abc", s, z, g, optimize=True) / num,
        numpy.einsum("na,nb,nc,nd->abcd", s, s, g, g, optimize=True) / num,
    )


def descended(w, v, B, rates, num_steps, seed):
    """Return w and v after online gradient descent on fresh Gaussian inputs, one by one."""
    rng = numpy.random.default_rng(seed)
    N = w.shape[1]
    w, v = w.copy(), v.copy()
    for _ in range(num_steps):
        x = rng.standard_normal(N)
        own = w @ x / math.sqrt(N)
        hidden = activation(own)
        wanted = activation(B @ x / math.sqrt(N)).sum() + rates.noise * rng.standard_normal()
        error = wanted - v @ hidden
        step = rates.rate / math.sqrt(N) * error * (v * slope(own))
        v = v + rates.fan_out_rate / N * hidden * error
        w = w + step[:, None] * x
    return w, v
