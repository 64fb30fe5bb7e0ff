"""Matrix sums: second moments of what weight matrices receive, and of the gradients passed back to their outputs."""

from typing import final

import torch

from surplus.passes.ghost.engine import Passed
from surplus.passes.statistics.comoments import Comoments

WIDEST = 2048
"""The most columns of which products are kept: they take 32 MB."""


@final
class MatrixSums:
    """Sums up the rows of every weight matrix, batch by batch: both factors of its Kronecker-factored curvature.

    Reference: martens2015optimizing, Section 3.
    Gradients are of the sum of the losses, at the labels.
    """

    def __init__(self, positions: int | None, generator: torch.Generator) -> None:
        self.inputs: dict[str, Comoments] = {}
        """Of what each weight matrix receives, by the parameter's name; for convolutions, of patches."""
        self.deltas: dict[str, Comoments] = {}
        """Of the gradients passed back to each weight matrix's outputs."""
        self.unseen: dict[str, str] = {}
        """Why a weight matrix has none of these."""
        self._positions, self._generator = positions, generator

    def add(self, passed: Passed) -> None:
        """Take in what one batch gave."""
        found, reasons = passed.rows(self._positions, self._generator)
        self.unseen.update(reasons)
        for name, rows in found.items():
            for kept, each in ((self.inputs, rows.inputs), (self.deltas, rows.deltas)):
                width = each.shape[1]
                if width > WIDEST:
                    self.unseen[name] = (
                        f"the products of its {width:,} columns would fill the memory"
                    )
                    continue
                kept.setdefault(name, Comoments(width)).add(each, rows.num_examples)
