"""Activation rank: how many directions the outputs of a layer take."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import register
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import per_layer
from surplus.passes.spectra.ranks import effective_rank, participation_ratio
from surplus.passes.statistics import Comoments
from surplus.units import tensors_of

SUMMED = torch.finfo(torch.float64).eps
"""What sums of products, and their eigenvalues, are rounded to."""


@register("activation-rank")
@dataclass(frozen=True, kw_only=True, slots=True)
class ActivationRank(Measure):
    r"""Count the directions in which the outputs of each layer vary over the data, in several ways.

    The rows are examples, or examples x positions, centred; their singular values s_1 >= s_2 >= ... are the roots of
    the eigenvalues of their sums of products. The numerical rank counts those above `tolerance` x s_1. The usual rule,
    max(rows, units) x the epsilon of the type that the network computes in, depends on that type and on the number of
    rows, so the tolerance is stated beside the rank. It is never finer than sqrt(max(rows, units) x the epsilon of
    float64), the same rule on sums of products: what lies below cannot be told from zero in them, as about 1e-6 x s_1
    cannot at ten thousand rows. The other ranks have no threshold.

    Reference: fan2024deep, for the numerical rank over depth; roy2007effective, Definition 1; gao2017theory,
    for the participation ratio (sum of s^2)^2 / sum of s^4.
    """

    references: ClassVar = ("fan2024deep", "roy2007effective", "gao2017theory")
    needs: ClassVar = ("activations",)

    tolerance: float | None = None
    """Smallest singular value that counts, relative to the largest; None takes that of a matrix-rank routine."""
    shares: tuple[float, ...] = (0.8, 0.95, 0.99)
    """The shares of the variance for which principal components are counted."""

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the ranks of each layer, in the order in which layers run."""
        return per_layer(seen.names, lambda name: self._layer(seen, name))

    def _layer(self, seen: Observed, name: str) -> Iterator[Finding]:
        rows = seen.comoments(name)
        n = rows.num_examples
        kept = seen.kept(name)
        yield Finding(quantity="num_rows", value=rows.num_rows, n=n)
        values = _singular_values(rows, kept & ~rows.constant)
        if len(values) == 0:
            yield Finding(quantity="numerical_rank", value=0, n=n, note="its outputs never change")
            return
        yield from self._counted(seen, name, rows, values)
        yield Finding(quantity="effective_rank", value=effective_rank(values), n=n)
        yield Finding(quantity="participation_ratio", value=participation_ratio(values), n=n)
        explained = values.square().cumsum(0) / values.square().sum()
        for share in self.shares:
            # A share of 1 may be missed by rounding alone.
            count = int((explained < share * (1 - 1e-12)).sum()) + 1
            yield Finding(quantity="num_components", value=count, at=share, n=n)

    def _counted(
        self, seen: Observed, name: str, rows: Comoments, values: Float[Tensor, " values"]
    ) -> Iterator[Finding]:
        """Yield the numerical rank and the tolerance that it rests on."""
        dtype = _type_of(seen, name)
        longer = max(rows.num_rows, len(rows.mean))
        finest = (longer * SUMMED) ** 0.5
        asked = longer * torch.finfo(dtype).eps if self.tolerance is None else self.tolerance
        tolerance = max(asked, finest)
        reason = "as asked" if self.tolerance is not None else f"rounding in {_name(dtype)}"
        if finest > asked:
            reason = "rounding of sums of products in float64"
        yield Finding(quantity="rank_tolerance", value=tolerance, n=rows.num_examples, note=reason)
        if tolerance >= 1:
            note = f"{_name(dtype)} is too coarse for a rank of {rows.num_rows:,} rows: set `tolerance`"
            yield Finding(quantity="numerical_rank", value=None, note=note)
            return
        rank = int((values > tolerance * values[0]).sum())
        yield Finding(quantity="numerical_rank", value=rank, n=rows.num_examples)


def _singular_values(rows: Comoments, chosen: Tensor) -> Float[Tensor, " values"]:
    """Return the singular values of the centred rows, from the largest; what is constant adds none."""
    index = chosen.nonzero()[:, 0]
    products = rows.products[index][:, index]
    return torch.linalg.eigvalsh(products).clamp_min(0).sqrt().flip(0)


def _type_of(seen: Observed, name: str) -> torch.dtype:
    """Return the type that a layer computes in."""
    return tensors_of(seen.model)[seen.group(name).incoming[0].tensor].dtype


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
