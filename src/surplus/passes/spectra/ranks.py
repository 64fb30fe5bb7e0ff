"""How many directions a matrix has, counted in several ways, from its singular values."""

import torch
from jaxtyping import Float
from torch import Tensor


def stable_rank(values: Float[Tensor, " values"]) -> float:
    """Return ||W||_F^2 / ||W||_2^2, from 1 to the rank.

    Reference: rudelson2007sampling, Remark 1.3 (there "numerical rank").

    Example:
        >>> stable_rank(torch.tensor([2.0, 1.0, 1.0]))
        1.5
    """
    return float((values.double() / values[0]).square().sum())


def effective_rank(values: Float[Tensor, " values"]) -> float:
    """Return exp of the entropy of the singular values over their sum, from 1 to the rank.

    Reference: roy2007effective, Definition 1.

    Example:
        >>> round(effective_rank(torch.ones(7)), 6), effective_rank(torch.tensor([3.0, 0.0]))
        (7.0, 1.0)
    """
    shares = values.double() / values.double().sum()
    return float(torch.special.entr(shares).sum().exp())


def participation_ratio(values: Float[Tensor, " values"]) -> float:
    """Return (sum of s^2)^2 / sum of s^4, from 1 to the rank.

    Example:
        >>> participation_ratio(torch.tensor([1.0, 1.0, 0.0]))
        2.0
    """
    energies = (values.double() / values[0]).square()
    return float(energies.sum().square() / energies.square().sum())


def spectral_entropy(values: Float[Tensor, " values"], rank: int) -> float:
    """Return the entropy of the shares of s^2, over the logarithm of the rank: from 0 (one direction) to 1 (all equal).

    Reference: martin2021implicit, Section 2.1.

    Example:
        >>> round(spectral_entropy(torch.ones(5), 5), 6)
        1.0
    """
    if rank < 2:
        return 0.0
    energies = (values.double() / values[0]).square()
    return float(
        torch.special.entr(energies / energies.sum()).sum()
        / torch.tensor(rank, dtype=torch.float64).log()
    )


def numerical_rank(values: Float[Tensor, " values"], num_long: int, epsilon: float) -> int:
    """Count the values that rounding does not explain: above N x epsilon x the largest, N the longer side.

    Example:
        >>> numerical_rank(torch.tensor([1.0, 1e-3, 1e-7]), 100, torch.finfo(torch.float32).eps)
        2
    """
    return int((values > num_long * epsilon * values[0]).sum())


def relative_errors(values: Float[Tensor, " values"]) -> Float[Tensor, " values_plus_one"]:
    """Return ||W - W_k||_F / ||W||_F of the best approximation W_k of rank k, for k from 0 to the number of values.

    Reference: eckart1936approximation.

    Example:
        >>> relative_errors(torch.tensor([4.0, 3.0])).tolist()
        [1.0, 0.6, 0.0]
    """
    energies = (values.double() / values[0]).square()
    left = torch.cat([energies.flip(0).cumsum(0).flip(0), energies.new_zeros(1)])
    return (left / left[0]).sqrt()


def elbow(values: Float[Tensor, " values"]) -> int:
    """Return the rank at which the squared reconstruction error bends most.

    It is the point furthest below the straight line from the error of rank 0 to that of full rank. The error falls by
    s_k^2 at rank k, and the line by the mean of all, so the bend lies where s_k^2 falls below the mean: a matrix of a
    few strong directions has its elbow at their number, one of pure noise at about two fifths of its rank.

    Reference: satopaa2011finding, Section III; without its smoothing, since the curve is convex.

    Example:
        >>> elbow(torch.tensor([5.0, 4.0, 4.0, 0.3, 0.2, 0.1]))
        3
    """
    errors = relative_errors(values).square()
    line = torch.linspace(1, 0, len(errors), dtype=torch.float64)
    return int((line - errors).argmax())
