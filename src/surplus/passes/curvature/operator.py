"""Operators: symmetric matrices too large to be written down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor


@final
@dataclass(frozen=True, slots=True)
class Operator:
    """A symmetric matrix, known by what it does to vectors.

    Example:
        >>> operator = Operator.of(torch.diag(torch.tensor([1.0, 2.0])))
        >>> operator.apply(torch.ones(1, 2))
        tensor([[1., 2.]])
    """

    size: int
    """The number of rows."""
    apply: Callable[[Float[Tensor, "vectors params"]], Float[Tensor, "vectors params"]]
    """Return the products with a block of vectors, one per row."""
    dtype: torch.dtype
    """The type of the vectors."""
    device: torch.device
    """Where the vectors are."""
    parts: Mapping[str, tuple[slice, ...]]
    """Where each named part, such as a layer, lies in a vector."""

    @staticmethod
    def of(matrix: Float[Tensor, "params params"]) -> "Operator":
        """Return the operator of a symmetric matrix that is small enough to be written down."""

        def apply(vectors: Float[Tensor, "vectors params"]) -> Float[Tensor, "vectors params"]:
            return vectors @ matrix

        return Operator(len(matrix), apply, matrix.dtype, matrix.device, {})
