"""Comoments: means and covariances of many columns, in one pass and without cancellation."""

from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

BLOCK = 512


@final
class Comoments:
    """Sums up rows as they come: their mean, and the sum of products of what they deviate from it.

    Each batch is centred on its own mean and joined to what was there before, in float64, so a large mean costs no
    digits, and two halves of the data may be summed up apart and merged.

    Reference: chan1983algorithms, the pairwise algorithm.

    Example:
        >>> seen = Comoments(2)
        >>> seen.add(torch.tensor([[1.0, 1.0], [3.0, 1.0]]), num_examples=2)
        >>> seen.mean.tolist(), seen.covariance.tolist()
        ([2.0, 1.0], [[1.0, 0.0], [0.0, 0.0]])
    """

    def __init__(self, width: int) -> None:
        self.num_rows = 0
        """How many rows were summed up."""
        self.num_examples = 0
        """How many examples they come from: rows of one example are not independent."""
        self.mean: Float[Tensor, " width"] = torch.zeros(width, dtype=torch.float64)
        self.products: Float[Tensor, "width width"] = torch.zeros(width, width, dtype=torch.float64)
        """The sum over rows of (row - mean)(row - mean)^T."""

    def add(self, rows: Float[Tensor, "rows width"], num_examples: int) -> None:
        """Take in rows that come from `num_examples` examples that were not seen before."""
        if len(rows) == 0:
            return
        values = rows.detach().double()
        mean = values.mean(0)
        values = values - mean
        if values.device.type == "cpu":
            _add_products(self.products, values)
        else:
            self.products += (values.T @ values).cpu()
        self._join(len(rows), num_examples, mean.cpu())

    def merge(self, other: "Comoments") -> None:
        """Take in what was summed up elsewhere, on other examples."""
        if other.num_rows:
            self.products += other.products
            self._join(other.num_rows, other.num_examples, other.mean)

    @property
    def covariance(self) -> Float[Tensor, "width width"]:
        """The covariance over the rows seen (divided by their number, not by one less)."""
        return self.products / max(self.num_rows, 1)

    @property
    def second_moment(self) -> Float[Tensor, "width width"]:
        """The mean of row row^T, not centred."""
        return self.covariance + torch.outer(self.mean, self.mean)

    @property
    def variances(self) -> Float[Tensor, " width"]:
        """The variance of each column; exactly 0 for one that never changed."""
        return self.products.diagonal() / max(self.num_rows, 1)

    @property
    def constant(self) -> Bool[Tensor, " width"]:
        """Which columns never changed: what they deviate by is rounding alone."""
        return self.variances <= 1e-24 * self.mean.square()

    @property
    def correlation(self) -> Float[Tensor, "width width"]:
        """Pearson's correlation; 0 between a column that never changed and any other, and with itself."""
        scale = torch.where(self.constant, 0.0, self.variances.clamp_min(1e-300).rsqrt())
        return (self.covariance * scale * scale[:, None]).clamp(-1, 1)

    def columns(self, chosen: slice) -> "Comoments":
        """Return what was summed up of some neighbouring columns alone."""
        part = Comoments(0)
        part.num_rows, part.num_examples = self.num_rows, self.num_examples
        part.mean, part.products = self.mean[chosen], self.products[chosen, chosen].clone()
        return part

    def _join(self, num_rows: int, num_examples: int, mean: Float[Tensor, " width"]) -> None:
        """In place: account for the mean of rows whose products around it were added."""
        total = self.num_rows + num_rows
        apart = mean - self.mean
        self.products.addr_(apart, apart, alpha=self.num_rows * num_rows / total)
        self.mean = self.mean + apart * (num_rows / total)
        self.num_rows, self.num_examples = total, self.num_examples + num_examples


def _add_products(
    products: Float[Tensor, "width width"], values: Float[Tensor, "rows width"]
) -> None:
    """In place: add values^T values, each pair of blocks computed once and copied across the diagonal."""
    for begin in range(0, len(products), BLOCK):
        end = begin + BLOCK
        upper = products[begin:end, begin:]
        upper.addmm_(values[:, begin:end].T, values[:, begin:])
        products[end:, begin:end] = upper[:, BLOCK:].T
