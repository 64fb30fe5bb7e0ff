"""Connected components at every cut-off at once, from one spanning tree."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor


@final
class SpanningTree:
    """The maximum spanning tree of a complete graph: its edges join exactly what edges of at least their weight join.

    The components of the graph whose edges weigh `cut_off` or more are those of the tree cut at the same place, so one
    tree, in O(units^2), serves all cut-offs.

    Reference: gower1969minimum, Section 2 (after Prim).

    Example:
        >>> tree = SpanningTree(torch.tensor([[1.0, 0.9, 0.1], [0.9, 1.0, 0.2], [0.1, 0.2, 1.0]]))
        >>> tree.num_components(0.5), tree.num_components(0.15), tree.components(0.5).tolist()
        (2, 1, [0, 0, 1])
    """

    def __init__(self, weights: Float[Tensor, "units units"]) -> None:
        size = len(weights)
        self.begins: Int[Tensor, " edges"] = torch.empty(max(size - 1, 0), dtype=torch.int64)
        """One end of each edge: it was reached before the other."""
        self.ends: Int[Tensor, " edges"] = torch.empty_like(self.begins)
        self.weights: Float[Tensor, " edges"] = weights.new_empty(len(self.begins))
        best = weights[0].clone() if size else weights.new_empty(0)
        nearest = torch.zeros(size, dtype=torch.int64)
        best[:1] = -torch.inf
        outside = torch.ones(size, dtype=torch.bool)
        outside[:1] = False
        for edge in range(len(self.begins)):
            end = int(best.argmax())
            self.begins[edge], self.ends[edge] = nearest[end], end
            self.weights[edge] = best[end]
            outside[end] = False
            best[end] = -torch.inf
            closer = outside & (weights[end] > best)
            best = torch.where(closer, weights[end], best)
            nearest[closer] = end

    def num_components(self, cut_off: float) -> int:
        """Return into how many components the edges of at least `cut_off` fall."""
        return 1 + int((self.weights < cut_off).sum())

    def components(self, cut_off: float) -> Int[Tensor, " units"]:
        """Return the number of the component of each unit, counted from 0 in the order of their first units."""
        labels = list(range(len(self.begins) + 1))
        # Edges stand in the order in which they were reached, so the beginning of each has its label already.
        kept = (self.weights >= cut_off).tolist()
        for begin, end, holds in zip(self.begins.tolist(), self.ends.tolist(), kept, strict=True):
            if holds:
                labels[end] = labels[begin]
        found: dict[int, int] = {}
        return torch.tensor([found.setdefault(label, len(found)) for label in labels])
