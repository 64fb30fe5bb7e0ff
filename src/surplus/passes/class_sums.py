"""Class sums: what features sum up to over the examples of each class."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor


@final
class ClassSums:
    """Sums up features by class, in float64; classes turn up as they come.

    Example:
        >>> seen = ClassSums(1)
        >>> seen.add(torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([0, 1, 1]))
        >>> seen.counts.tolist(), seen.means.tolist()
        ([1.0, 2.0], [[1.0], [4.0]])
    """

    def __init__(self, width: int) -> None:
        self.counts: Float[Tensor, " classes"] = torch.zeros(0, dtype=torch.float64)
        """How many examples each class has."""
        self.sums: Float[Tensor, "classes width"] = torch.zeros(0, width, dtype=torch.float64)

    def add(self, features: Float[Tensor, "batch width"], labels: Int[Tensor, " batch"]) -> None:
        """Take in a batch of features and their labels."""
        self._widen(int(labels.max()) + 1 if len(labels) else 0)
        where = labels.cpu()
        self.sums.index_add_(0, where, features.detach().double().cpu())
        self.counts.index_add_(0, where, torch.ones(len(where), dtype=torch.float64))

    def merge(self, other: "ClassSums") -> None:
        """Take in what was summed up elsewhere, on other examples."""
        num_classes = len(other.counts)
        self._widen(num_classes)
        self.sums[:num_classes] += other.sums
        self.counts[:num_classes] += other.counts

    @property
    def means(self) -> Float[Tensor, "classes width"]:
        """The mean of each class; zero for one without examples."""
        return self.sums / self.counts.clamp_min(1)[:, None]

    def _widen(self, num_classes: int) -> None:
        missing = num_classes - len(self.counts)
        if missing > 0:
            self.counts = torch.cat([self.counts, self.counts.new_zeros(missing)])
            self.sums = torch.cat([self.sums, self.sums.new_zeros(missing, self.sums.shape[1])])
