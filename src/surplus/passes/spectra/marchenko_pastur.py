"""The law of Marchenko and Pastur: where the eigenvalues of a matrix of pure noise lie."""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class MarchenkoPastur:
    r"""The law of the eigenvalues s^2 / N of an N x M matrix, N >= M, of independent entries.

    s are the singular values. On [lower, upper], written as variance (1 + r^2 - 2 r cos t) with r = sqrt(M / N) and t
    from 0 to pi, the density of t is (2 / pi) sin^2 t / (1 + r^2 - 2 r cos t), which has an integral in closed form and
    stays finite for square matrices, where the density of the eigenvalues themselves does not.

    Reference: marchenko1967distribution.

    Example:
        >>> law = MarchenkoPastur(num_long=400, num_short=100)
        >>> law.lower, law.upper
        (0.25, 2.25)
    """

    num_long: int
    """N, the longer side of the matrix."""
    num_short: int
    """M, the shorter side."""
    variance: float = 1.0
    """Of the entries."""

    @property
    def ratio(self) -> float:
        """The square root of M / N."""
        return math.sqrt(self.num_short / self.num_long)

    @property
    def lower(self) -> float:
        """The lower edge."""
        return self.variance * (1 - self.ratio) ** 2

    @property
    def upper(self) -> float:
        """The upper edge."""
        return self.variance * (1 + self.ratio) ** 2

    @property
    def edge_scale(self) -> float:
        """How far the largest eigenvalue of pure noise strays from the upper edge.

        It lies at upper + edge_scale (-1.2 +- 1.3).

        Reference: johnstone2001distribution, Theorem 1.1.
        """
        long, short = math.sqrt(self.num_long), math.sqrt(self.num_short)
        return self.variance * (long + short) * (1 / long + 1 / short) ** (1 / 3) / self.num_long

    def density(self, values: Float[Tensor, " values"]) -> Float[Tensor, " values"]:
        """Return the density; zero outside the edges."""
        inside = (self.upper - values).clamp_min(0) * (values - self.lower).clamp_min(0)
        return inside.sqrt() / (2 * math.pi * self.variance * self.ratio**2 * values)

    def cumulative(self, values: Float[Tensor, " values"]) -> Float[Tensor, " values"]:
        """Return the share of the law that lies below each value.

        Example:
            >>> law = MarchenkoPastur(num_long=5, num_short=5)
            >>> law.cumulative(torch.tensor([0.0, 2.0, 4.0])).round(decimals=4).tolist()
            [0.0, 0.8183, 1.0]
        """
        cosine = (1 + self.ratio**2 - values.double() / self.variance) / (2 * self.ratio)
        return self._below(cosine.clamp(-1, 1).arccos())

    def quantiles(self, shares: Float[Tensor, " shares"]) -> Float[Tensor, " shares"]:
        """Return the values below which given shares of the law lie, by bisection."""
        low, high = torch.zeros_like(shares).double(), torch.full_like(shares, math.pi).double()
        for _ in range(60):
            middle = (low + high) / 2
            under = self._below(middle) < shares
            low, high = torch.where(under, middle, low), torch.where(under, high, middle)
        return self.variance * (1 + self.ratio**2 - 2 * self.ratio * low.cos())

    def _below(self, angle: Float[Tensor, " values"]) -> Float[Tensor, " values"]:
        r = self.ratio
        turned = torch.atan2((1 + r) * (angle / 2).sin(), (1 - r) * (angle / 2).cos())
        parts = (1 + r**2) * angle + 2 * r * angle.sin() - 2 * (1 - r**2) * turned
        return parts / (2 * math.pi * r**2)
