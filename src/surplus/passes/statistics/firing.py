"""Firing: how often each unit is above zero, and how often two are together."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor


@final
class Firing:
    """Counts where units emit something positive, and keeps the range of what they emit.

    Counts and ranges are of all positions; pairs are counted on the rows given to `add_rows`, which may be a sample.

    Example:
        >>> seen = Firing(2)
        >>> seen.add(torch.tensor([[[1.0]], [[0.0]]]).movedim(0, 1))
        >>> seen.counts.tolist(), seen.largest.tolist()
        ([1.0, 0.0], [1.0, 0.0])
    """

    def __init__(self, num_units: int) -> None:
        self.num_positions = 0
        """How many outputs of each unit were looked at."""
        self.num_rows = 0
        """How many rows pairs were counted on."""
        self.counts: Float[Tensor, " units"] = torch.zeros(num_units, dtype=torch.float64)
        """How often each unit fired."""
        self.together: Float[Tensor, "units units"] = torch.zeros(
            num_units, num_units, dtype=torch.float64
        )
        """How often two units fired on the same row; on the diagonal, how often one did."""
        self.smallest: Float[Tensor, " units"] = torch.full((num_units,), torch.inf).double()
        self.largest: Float[Tensor, " units"] = torch.full((num_units,), -torch.inf).double()

    def add(self, outputs: Float[Tensor, "batch units positions"]) -> None:
        """Count the outputs at all positions."""
        by_unit = outputs.detach().transpose(0, 1).flatten(1)
        self.num_positions += by_unit.shape[1]
        self.counts += (by_unit > 0).sum(1).double().cpu()
        # Two reductions: `aminmax` is one, but not vectorised.
        smallest, largest = by_unit.amin(1), by_unit.amax(1)
        self.smallest = torch.minimum(self.smallest, smallest.double().cpu())
        self.largest = torch.maximum(self.largest, largest.double().cpu())

    def add_rows(self, rows: Float[Tensor, "rows units"]) -> None:
        """Count pairs on rows."""
        # Zeros and ones in single precision are counted exactly up to 2^24 rows at a time.
        fires = (rows.detach() > 0).float()
        self.num_rows += len(rows)
        self.together += (fires.T @ fires).double().cpu()

    def merge(self, other: "Firing") -> None:
        """Take in what was counted elsewhere, on other examples."""
        self.num_positions += other.num_positions
        self.num_rows += other.num_rows
        self.counts += other.counts
        self.together += other.together
        self.smallest = torch.minimum(self.smallest, other.smallest)
        self.largest = torch.maximum(self.largest, other.largest)
