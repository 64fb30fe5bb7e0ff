"""Singular values, from the smaller Gram matrix."""

import torch
from jaxtyping import Float
from torch import Tensor

BLOCK = 128
"""Rows of a Gram matrix that are found together."""
UNRESOLVED = 1e-6
"""Below this share of the largest one, singular values from a float64 Gram matrix lose their digits."""


def singular_values(
    W: Float[Tensor, "*stack rows columns"], *, small: bool = False
) -> Float[Tensor, "*stack values"]:
    """Return all singular values in float64, the largest first.

    They are the roots of the eigenvalues of W W^T or W^T W, whichever is smaller, which takes a fraction of the time
    of a decomposition of W. Their relative error is about 1e-16 (largest / value)^2: nothing for the large ones, but
    values below about 1e-8 of the largest are lost.

    Args:
        W: Matrices of one shape.
        small: Whether the digits of small values matter; matrices that have values below 1e-6 of their largest are then
            decomposed themselves.

    Example:
        >>> singular_values(torch.tensor([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]])).tolist()
        [4.0, 3.0]
    """
    W = W.double()
    rows, columns = W.shape[-2:]
    gram = _lower_gram(W if rows <= columns else W.mT)
    values = torch.linalg.eigvalsh(gram, UPLO="L").clamp_min(0).sqrt().flip(-1)
    if small and values.numel():
        unresolved = values[..., -1] < UNRESOLVED * values[..., 0]
        if unresolved.any():
            values[unresolved] = torch.linalg.svdvals(W[unresolved])
    return values


def _lower_gram(W: Float[Tensor, "*stack rows columns"]) -> Float[Tensor, "*stack rows rows"]:
    """Return W W^T up to and around its diagonal: eigenvalues need one half, which is half of the work."""
    size = W.shape[-2]
    gram = W.new_zeros(*W.shape[:-1], size)
    for start in range(0, size, BLOCK):
        end = min(start + BLOCK, size)
        gram[..., start:end, :end] = W[..., start:end, :] @ W[..., :end, :].mT
    return gram
