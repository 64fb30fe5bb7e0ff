"""Class sums: what features sum up to over the examples of each class, and how they scatter around its mean."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor


@final
class ClassSums:
    """Sums up features by class, in float64; classes turn up as they come.

    Scatter is around the mean of each class, joined batch by batch as in `Comoments`: features that have collapsed onto
    their means leave no more of it than rounding does.

    Args:
        width: How many features there are.
        products: Whether to sum up `within`, too, which is as large as a covariance.

    Reference: chan1983algorithms, the pairwise algorithm, for each class.

    Example:
        >>> seen = ClassSums(1)
        >>> seen.add(torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([0, 1, 1]))
        >>> seen.counts.tolist(), seen.means.tolist(), seen.scatter.tolist()
        ([1.0, 2.0], [[1.0], [4.0]], [0.0, 2.0])
    """

    def __init__(self, width: int, products: bool = False) -> None:
        self.counts: Float[Tensor, " classes"] = torch.zeros(0, dtype=torch.float64)
        """How many examples each class has."""
        self.sums: Float[Tensor, "classes width"] = torch.zeros(0, width, dtype=torch.float64)
        self.scatter: Float[Tensor, " classes"] = torch.zeros(0, dtype=torch.float64)
        """The sum of squared distances of each class's features from their mean."""
        self.within: Float[Tensor, "width width"] | None = None
        """The sum over all examples of (features - mean of the class)(features - mean of the class)^T."""
        if products:
            self.within = torch.zeros(width, width, dtype=torch.float64)

    def add(self, features: Float[Tensor, "batch width"], labels: Int[Tensor, " batch"]) -> None:
        """Take in a batch of features and their labels."""
        where = labels.cpu()
        values = features.detach().double().cpu()
        batch = ClassSums(values.shape[1])
        batch._widen(int(where.max()) + 1 if len(where) else 0)
        batch.counts += torch.bincount(where, minlength=len(batch.counts))
        batch.sums.index_add_(0, where, values)
        apart = values - batch.means[where]
        batch.scatter.index_add_(0, where, apart.square().sum(1))
        if self.within is not None:
            self.within.addmm_(apart.T, apart)
        self._join(batch)

    def merge(self, other: "ClassSums") -> None:
        """Take in what was summed up elsewhere, on other examples."""
        if self.within is not None and other.within is not None:
            self.within += other.within
        self._join(other)

    @property
    def means(self) -> Float[Tensor, "classes width"]:
        """The mean of each class; zero for one without examples."""
        return self.sums / self.counts.clamp_min(1)[:, None]

    def _join(self, other: "ClassSums") -> None:
        """In place: take in counts, sums and scatter, and what the means of the parts are apart."""
        num_classes = len(other.counts)
        self._widen(num_classes)
        here = slice(0, num_classes)
        together = (self.counts[here] + other.counts).clamp_min(1)
        weights = self.counts[here] * other.counts / together
        apart = (other.means - self.means[here]) * weights.sqrt()[:, None]
        if self.within is not None:
            self.within.addmm_(apart.T, apart)
        self.scatter[here] += other.scatter + apart.square().sum(1)
        self.sums[here] += other.sums
        self.counts[here] += other.counts

    def _widen(self, num_classes: int) -> None:
        missing = num_classes - len(self.counts)
        if missing > 0:
            self.counts = torch.cat([self.counts, self.counts.new_zeros(missing)])
            self.scatter = torch.cat([self.scatter, self.scatter.new_zeros(missing)])
            self.sums = torch.cat([self.sums, self.sums.new_zeros(missing, self.sums.shape[1])])
