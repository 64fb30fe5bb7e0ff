"""The Walsh-Hadamard transform of many rows at once."""

import functools

import torch
from jaxtyping import Float
from torch import Tensor

FACTOR = 32  # the size of the Hadamard matrices that are multiplied with


def walsh_hadamard(rows: Float[Tensor, "count length"]) -> Float[Tensor, "count length"]:
    """Return each row times the Hadamard matrix in Sylvester's order, without a scale; the length is a power of two.

    The matrix is the Kronecker product of small ones, H = H_32 x H_32 x ..., and each factor is one batched product:
    a few passes over the data where the usual butterflies take log2(length).

    Example:
        >>> walsh_hadamard(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
        tensor([[10., -2., -4.,  0.]])
    """
    count, inner = rows.shape
    found = rows
    while inner > 1:
        factor = min(FACTOR, inner)
        inner //= factor
        matrix = _matrix(factor).to(rows)
        if inner == 1:
            found = found.reshape(-1, factor) @ matrix
        else:
            found = matrix @ found.reshape(-1, factor, inner)
    return found.reshape(count, rows.shape[1])


@functools.lru_cache
def _matrix(size: int) -> Float[Tensor, "size size"]:
    matrix = torch.ones(1, 1)
    pair = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    while len(matrix) < size:
        matrix = torch.kron(pair, matrix)
    return matrix
