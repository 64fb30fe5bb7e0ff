"""The trace of an operator and its Frobenius norm, by Hutch++."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument
from surplus.passes.curvature.operator import Operator
from surplus.passes.curvature.spectrum import signs
from surplus.passes.estimates import Estimate, mean_estimate


class Trace(NamedTuple):
    """The sum of the eigenvalues and what comes along with it; intervals are over further draws of the probes."""

    total: Estimate
    parts: dict[str, Estimate]
    """The sum of the diagonal entries that belong to each named part; they add up to `total`."""
    frobenius_squared: Estimate
    """The sum of the squared eigenvalues."""
    num_directions: Estimate
    """The participation ratio `total`^2 / `frobenius_squared`: k for k equal eigenvalues and no others; 0 for zero."""


def trace(operator: Operator, num_probes: int = 10, seed: int = 0) -> Trace:
    """Estimate the trace from three products per probe.

    A sketch A S of the matrix finds the directions Q in which it is large; there, the trace is computed exactly. Only
    for what is left, (I - Q Q^T) A (I - Q Q^T), random signs z stand in: z^T A z on average. A matrix of a lower rank
    than there are probes therefore has its exact trace, with an interval of no length.

    Reference: meyer2021hutch, Algorithm 1.
    The budget is given as probes of each of the three kinds. The same products also give each part's share
    (entry by entry, z * A z is the diagonal on average) and the squared Frobenius norm (the mean of |A z|^2).

    Args:
        operator: The matrix.
        num_probes: How many vectors sketch, and how many estimate.
        seed: Of the draws.

    Raises:
        InvalidArgument: fewer than one probe.

    Example:
        >>> found = trace(Operator.of(torch.diag(torch.tensor([2.0, 2.0] + [0.0] * 30))), num_probes=4)
        >>> round(found.total.value, 4), round(found.num_directions.value, 4)
        (4.0, 2.0)
    """
    if num_probes < 1:
        raise InvalidArgument(f"`num_probes` is {num_probes}; it must be at least 1.")
    count = min(num_probes, operator.size)
    sketch = operator.apply(torch.stack([signs(operator, seed, "sketch", n) for n in range(count)]))
    frame = torch.linalg.qr(sketch.T)[0].T.contiguous()  # orthonormal rows
    images = operator.apply(frame)
    inner = images @ frame.T
    beyond = images - inner @ frame
    # diag(P A + A P - P A P) with P = Q Q^T, in pieces that do not cancel.
    known = ((images + beyond) * frame).double().sum(0)
    known_squared = float(inner.double().square().sum() + 2 * beyond.double().square().sum())

    probes = torch.stack([signs(operator, seed, "rest", n) for n in range(num_probes)])
    outside = _outside(operator.apply(_outside(probes, frame)), frame).double()
    diagonal = probes.double() * outside
    totals = known.sum() + diagonal.sum(1)
    squares = known_squared + outside.square().sum(1)
    parts = {
        name: mean_estimate(
            torch.stack([known[each].sum() + diagonal[:, each].sum(1) for each in part]).sum(0)
        )
        for name, part in operator.parts.items()
    }
    return Trace(
        mean_estimate(totals), parts, mean_estimate(squares), _participation(totals, squares)
    )


def _outside(
    vectors: Float[Tensor, "vectors params"], frame: Float[Tensor, "known params"]
) -> Float[Tensor, "vectors params"]:
    return vectors - (vectors @ frame.T) @ frame


def _participation(totals: Float[Tensor, " draws"], squares: Float[Tensor, " draws"]) -> Estimate:
    """Return the ratio of means with the interval of its linearisation."""
    total, square = float(totals.mean()), float(squares.mean())
    if square == 0:
        return mean_estimate(torch.zeros_like(totals))
    value = total**2 / square
    return mean_estimate(2 * total / square * totals - (total / square) ** 2 * squares, value)
