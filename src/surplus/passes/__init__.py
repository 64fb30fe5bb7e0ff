"""Shared engines: exact ablation without re-running the network, Gram matrices, taps, costs.

What lives here:
- `Removals`, the loss and accuracy after every removal of units, with its `Singles`; `Downstream`, a chain taken apart
  at one layer;
- `frame_potential`, `frame_potential_along` an order, `frame_potential_bounds`, and what they are made of: `directions`
  and `squared_overlaps`;
- `Data`, what the engines are given, `batches` of it, and a `Sample` as `sampled` draws it; `activations`, the outputs
  of a group's units;
- `observe`, the one pass over the data that gathers the `Statistics` that are `Wanted`: `Comoments`, `Firing` and
  `ClassSums`; `chunks` of batches;
- `stand_ins`, removed units as combinations of the kept ones, fitted to activations;
- `performance`, which returns a `Performance`; `num_parameters`, `num_macs` and `file_bytes`, what a network costs;
  `compare`, the table of all that; `keep_to` a `Quantity`, with what was `Reached`;
- in the folder `curvature`, eigenvalues, trace and density of the loss's Hessian and Gauss-Newton matrix.

May import: `base`, `store`, `units`, `masks`, `edits`.
To add an engine: one file, with its slow oracle under `tests/oracles`.
"""

from surplus.passes.class_sums import ClassSums
from surplus.passes.comoments import Comoments
from surplus.passes.comparison import compare
from surplus.passes.costs import file_bytes, num_macs, num_parameters
from surplus.passes.data import Data, batches
from surplus.passes.downstream import Downstream
from surplus.passes.firing import Firing
from surplus.passes.gram import (
    directions,
    frame_potential,
    frame_potential_along,
    frame_potential_bounds,
    squared_overlaps,
)
from surplus.passes.observing import Statistics, Wanted, chunks, observe
from surplus.passes.performance import Performance, performance
from surplus.passes.removals import Removals, Singles
from surplus.passes.sampling import Sample, sampled
from surplus.passes.standing_in import stand_ins
from surplus.passes.taps import activations
from surplus.passes.targets import Quantity, Reached, keep_to

__all__ = [
    "ClassSums",
    "Comoments",
    "Data",
    "Downstream",
    "Firing",
    "Performance",
    "Quantity",
    "Reached",
    "Removals",
    "Sample",
    "Singles",
    "Statistics",
    "Wanted",
    "activations",
    "batches",
    "chunks",
    "compare",
    "directions",
    "file_bytes",
    "frame_potential",
    "frame_potential_along",
    "frame_potential_bounds",
    "keep_to",
    "num_macs",
    "num_parameters",
    "observe",
    "performance",
    "sampled",
    "squared_overlaps",
    "stand_ins",
]
