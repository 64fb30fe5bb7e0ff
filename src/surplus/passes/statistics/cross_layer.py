"""Cross-layer products: how the features of all pairs of layers vary together."""

from collections.abc import Mapping
from itertools import pairwise
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from surplus.passes.statistics.comoments import Comoments

MOST_NUMBERS = 2**26
"""How many numbers are kept at most: half a gibibyte."""
TILE = 256
"""How many rows are multiplied with as many others at a time."""


@final
class CrossLayer:
    """Sums up products of the features of several layers, side by side, in float64.

    What is asked for is the same seen from the columns or from the rows: ||X^T Y||_F^2 = <X X^T, Y Y^T>. So the rows
    themselves are kept as long as they are fewer than the columns, and products of columns from then on. Both ways
    nothing is approximated, and what is kept stays below the square of the number of columns.

    Example:
        >>> seen = CrossLayer()
        >>> rows = torch.tensor([[0.0], [2.0], [4.0]])
        >>> seen.add({"a": rows, "b": -3 * rows})
        >>> seen.squares().tolist()
        [[64.0, 576.0], [576.0, 5184.0]]
    """

    def __init__(self) -> None:
        self.slices: dict[str, slice] = {}
        """Where each layer's features lie."""
        self.num_examples = 0
        self.refused: str | None = None
        """Why nothing was kept, if it would have been too much."""
        self._rows: list[Float[Tensor, "_ columns"]] = []
        self._products: Comoments | None = None

    def add(self, features: Mapping[str, Float[Tensor, "batch _"]]) -> None:
        """Take in a batch of the features of each layer, always of the same layers."""
        if not self.slices:
            begin = 0
            for name, each in features.items():
                self.slices[name] = slice(begin, begin + each.shape[1])
                begin += each.shape[1]
        parts = [features[name].detach().double().cpu() for name in self.slices]
        self._take(torch.cat(parts, dim=1))

    def merge(self, other: "CrossLayer") -> None:
        """Take in what was summed up elsewhere, on other examples of the same layers."""
        self.slices = self.slices or dict(other.slices)
        self.refused = self.refused or other.refused
        for rows in other._rows:
            self._take(rows)
        if other._products is not None:
            self._summed().merge(other._products)
            self.num_examples += other.num_examples

    @property
    def width(self) -> int:
        """How many features there are in all layers together."""
        return max((each.stop for each in self.slices.values()), default=0)

    def squares(self) -> Float[Tensor, "layers layers"]:
        """Return ||X^T Y||_F^2 of the centred features X and Y of each pair of layers."""
        if self._products is not None:
            return _from_columns(self._products.products, list(self.slices.values()))
        rows = torch.cat(self._rows) if self._rows else torch.zeros(0, self.width).double()
        return _from_rows(rows, list(self.slices.values()))

    def constant(self) -> Bool[Tensor, " layers"]:
        """Return the layers none of whose features ever changed."""
        if self._products is not None:
            still = self._products.constant
        else:
            rows = torch.cat(self._rows)
            still = rows.var(0, correction=0) <= 1e-24 * rows.mean(0).square()
        return torch.stack([still[each].all() for each in self.slices.values()])

    def _take(self, rows: Float[Tensor, "batch columns"]) -> None:
        self.num_examples += len(rows)
        if self.refused is not None:
            return
        if self._products is not None:
            self._products.add(rows, len(rows))
            return
        self._rows.append(rows)
        if self.num_examples >= self.width:
            if self.width**2 <= MOST_NUMBERS:
                self._summed()
        if self._products is None and self.num_examples * self.width > MOST_NUMBERS:
            self._refuse()

    def _summed(self) -> Comoments:
        """Return the products of columns, made of the rows kept so far."""
        if self._products is None:
            self._products = Comoments(self.width)
            for rows in self._rows:
                self._products.add(rows, len(rows))
            self._rows = []
        return self._products

    def _refuse(self) -> None:
        self._rows = []
        self.refused = (
            f"its layers have {self.width:,} features together, whose products are more than are kept"
            f" ({MOST_NUMBERS:,} numbers): pass fewer `layers`, or at most {MOST_NUMBERS // self.width:,} examples"
        )


def _from_columns(
    products: Float[Tensor, "columns columns"], slices: list[slice]
) -> Float[Tensor, "layers layers"]:
    """Return the squared norms of the blocks of the products of columns."""
    strips = torch.stack([products[each].square().sum(0) for each in slices])
    return torch.stack([strips[:, each].sum(1) for each in slices], dim=1)


def _from_rows(
    rows: Float[Tensor, "batch columns"], slices: list[slice]
) -> Float[Tensor, "layers layers"]:
    """Return the products of the Gram matrices of each pair of layers, tile by tile."""
    mean = rows.mean(0)
    squares = torch.zeros(len(slices), len(slices), dtype=torch.float64)
    bounds = [*range(0, len(rows), TILE), len(rows)]
    for here, (begin, end) in enumerate(pairwise(bounds)):
        mine = rows[begin:end] - mean
        for first, last in pairwise(bounds[here:]):
            theirs = mine if first == begin else rows[first:last] - mean
            grams = torch.stack([(mine[:, each] @ theirs[:, each].T).flatten() for each in slices])
            # A tile beside the diagonal stands for its mirror image, too.
            squares.addmm_(grams, grams.T, alpha=1 if first == begin else 2)
    return squares
