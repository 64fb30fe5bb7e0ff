"""The spectrum that a matrix would have if its entries stood anywhere."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import derive
from surplus.passes.spectra.singular import STACKED, singular_values


def permuted_singular_values(
    W: Float[Tensor, "*stack rows columns"], num_draws: int, seed: int
) -> Float[Tensor, "draws *stack values"]:
    """Return the singular values of the matrix with its entries permuted, all of them, without replacement.

    A permutation keeps every entry, heavy ones too, and takes apart what lines up. Draw i is the same however many are
    drawn. Matrices of a stack swap entries with one another.

    Example:
        >>> permuted_singular_values(torch.tensor([[1.0, 2.0]]), 3, seed=0).round(decimals=4).squeeze().tolist()
        [2.2361, 2.2361, 2.2361]
    """
    draws = list(_permuted(W, num_draws, seed))
    size = max(1, STACKED // max(1, W.numel()))
    parts = [
        singular_values(torch.stack(draws[i : i + size])) for i in range(0, len(draws), size)
    ]
    return torch.cat(parts)


def _permuted(W: Tensor, num_draws: int, seed: int) -> Iterator[Tensor]:
    entries = W.flatten()
    for draw in range(num_draws):
        generator = torch.Generator().manual_seed(derive(seed, "permuted", draw))
        order = torch.randperm(len(entries), generator=generator).to(W.device)
        yield entries[order].view_as(W)
