"""The Lanczos recurrence, for several starting vectors at once."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.passes.curvature.operator import Operator


class Tridiagonal(NamedTuple):
    """What a symmetric matrix is, seen from the Krylov space of each start."""

    diagonal: Float[Tensor, "starts steps"]
    beside: Float[Tensor, "starts steps"]
    """The entry to the right of each diagonal one; the last leads out of the space and bounds what was missed."""

    def matrix(self) -> Float[Tensor, "starts steps steps"]:
        """Return the tridiagonal matrices in full."""
        inner = self.beside[:, :-1]
        return (
            torch.diag_embed(self.diagonal)
            + torch.diag_embed(inner, 1)
            + torch.diag_embed(inner, -1)
        )


def lanczos(
    operator: Operator,
    starts: Float[Tensor, "starts params"],
    num_steps: int,
    generator: torch.Generator,
) -> Tridiagonal:
    """Run Lanczos from each start, all in step so that each step takes one block of products.

    Every new vector is made orthogonal to all former ones twice, so that no eigenvalue comes twice for want of digits.
    Where a space is closed before its time, a random vector opens the next one, so that as many steps as
    the matrix has rows find all of its eigenvalues.

    Args:
        operator: The matrix.
        starts: One start per row.
        num_steps: How many steps to make, at most the matrix's size.
        generator: On the CPU; draws the random vectors.

    Reference: golub2013matrix, Section 10.3.
    """
    basis = starts.new_zeros(len(starts), num_steps, operator.size)
    diagonal = torch.zeros(len(starts), num_steps, dtype=torch.float64)
    beside = torch.zeros_like(diagonal)
    vector = starts / starts.norm(dim=1, keepdim=True)
    for step in range(num_steps):
        basis[:, step] = vector
        image = operator.apply(vector)
        diagonal[:, step] = (image * vector).sum(1).double().cpu()
        image = _orthogonal(image, basis[:, : step + 1])
        beside[:, step] = image.norm(dim=1).double().cpu()
        scale = torch.maximum(diagonal.abs(), beside)[:, : step + 1].amax(1)
        closed = beside[:, step] <= 32 * torch.finfo(starts.dtype).eps * scale
        if step + 1 == operator.size:
            closed[:] = True
        beside[closed, step] = 0.0
        if step + 1 < num_steps:
            for place in closed.nonzero()[:, 0].tolist():
                drawn = torch.randn(operator.size, dtype=starts.dtype, generator=generator)
                image[place] = _orthogonal(
                    drawn.to(starts.device)[None], basis[place : place + 1, : step + 1]
                )[0]
            vector = image / image.norm(dim=1, keepdim=True)
    return Tridiagonal(diagonal, beside)


def _orthogonal(
    vectors: Float[Tensor, "starts params"], basis: Float[Tensor, "starts known params"]
) -> Float[Tensor, "starts params"]:
    """Return what is left of vectors outside the span of each one's basis: classical Gram-Schmidt, twice."""
    for _ in range(2):
        along = torch.bmm(basis, vectors[:, :, None])
        vectors = vectors - torch.bmm(along.mT, basis)[:, 0]
    return vectors
