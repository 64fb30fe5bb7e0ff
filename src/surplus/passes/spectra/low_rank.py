"""What is left of a matrix on a few of its directions."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor


@final
class Decomposed:
    """A matrix taken apart once, for its best approximations of every rank.

    Reference: eckart1936approximation.

    Example:
        >>> parts = Decomposed(torch.diag(torch.tensor([3.0, 2.0, 1.0])))
        >>> parts.truncated(1).diagonal().tolist(), parts.removed_norm(1), parts.removed_norm(3)
        ([3.0, 0.0, 0.0], 2.0, 0.0)
    """

    def __init__(self, W: Float[Tensor, "rows columns"]) -> None:
        self.W = W.double()
        self.left, self.values, self.right = torch.linalg.svd(self.W, full_matrices=False)

    @property
    def full_rank(self) -> int:
        """The number of singular values."""
        return len(self.values)

    def truncated(self, k: int) -> Float[Tensor, "rows columns"]:
        """Return the best approximation of rank k; the matrix itself where k is its rank or more."""
        if k >= self.full_rank:
            return self.W
        return (self.left[:, :k] * self.values[:k]) @ self.right[:k]

    def removed_norm(self, k: int) -> float:
        """Return the spectral norm of what the approximation of rank k leaves out."""
        return float(self.values[k]) if k < self.full_rank else 0.0

    def projected(
        self, directions: Float[Tensor, "rows rows"], k: int
    ) -> Float[Tensor, "rows columns"]:
        """Return the projection on the first k of given orthonormal directions of the rows' axis."""
        chosen = directions[:, :k]
        return chosen @ (chosen.T @ self.W)


def random_directions(size: int, seed: int) -> Float[Tensor, "rows rows"]:
    """Return an orthonormal basis drawn at random, so that the first k are a random subspace for every k."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(size, size, dtype=torch.float64, generator=generator)
    return torch.linalg.qr(drawn)[0]


def powers_of_two(greatest: int) -> tuple[int, ...]:
    """Return 1, 2, 4 and so on.

    Example:
        >>> powers_of_two(9)
        (1, 2, 4, 8)
    """
    return tuple(2**power for power in range(greatest.bit_length()))
