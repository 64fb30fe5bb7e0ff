"""The spectrum that a matrix would have if its entries stood anywhere."""

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import derive
from surplus.passes.spectra.singular import singular_values


def permuted_singular_values(
    W: Float[Tensor, "*stack rows columns"], draw: int, seed: int
) -> Float[Tensor, "*stack values"]:
    """Return the singular values of the matrix with its entries permuted, all of them, without replacement.

    A permutation keeps every entry, heavy ones too, and takes apart what lines up. Matrices of a stack swap entries
    with one another. Each draw is a permutation of its own.

    Example:
        >>> permuted_singular_values(torch.tensor([[1.0, 2.0]]), 0, seed=0).round(decimals=4).tolist()
        [2.2361]
    """
    generator = torch.Generator().manual_seed(derive(seed, "permuted", draw))
    # Half as wide numbers take half the time to draw and to follow.
    width = torch.int32 if W.numel() < 2**31 else torch.int64
    order = torch.randperm(W.numel(), generator=generator, dtype=width).to(W.device)
    return singular_values(W.flatten().index_select(0, order).view_as(W))
