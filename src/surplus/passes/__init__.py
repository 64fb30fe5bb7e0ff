"""Shared engines: exact ablation without re-running the network, Gram matrices, taps, costs.

What lives here:
- `Removals`, the loss and accuracy after every removal of units, with its `Singles`; `Downstream`, a chain taken apart
  at one layer;
- `frame_potential`, `frame_potential_along` an order, `frame_potential_bounds`, and what they are made of: `directions`
  and `squared_overlaps`; `pair_cosines` and `nearest` neighbours, `mean_cosine_distance` and `signed_frame_potential`;
- `SpanningTree`, the components of a weighted graph at every cut-off;
- `spherical_centres`, clusters of directions, and `degrees_to` them;
- `leading_subspace`, the `principal_degrees` between two, `random_degrees`, and `relative_residuals` outside one;
- `Estimate`: `mean_estimate`, `share_estimate` and the `difference` of two, with their intervals;
- `Data`, what the engines are given, `batches` of it, and a `Sample` as `sampled` draws it; `activations`, the outputs
  of a group's units, and `by_example`, which shapes them;
- `observe`, the one pass over the data that gathers the `Statistics` that are `Wanted`: `Comoments`, `Firing`,
  `ClassSums`, `CrossLayer` and the `Readout`; `chunks` of batches; `cross_features`, a pass through several networks
  `Viewed` together; `runs_of` a module, and the `refusal` of those that do not fit;
- `stand_ins`, removed units as combinations of the kept ones, fitted to activations;
- in the folder `spectra`: singular values, the law of noise and its fit, power laws in tails, ranks, phases;
- `performance`, which returns a `Performance`; `num_parameters`, `num_macs` and `file_bytes`, what a network costs;
  `compare`, the table of all that; `keep_to` a `Quantity`, with what was `Reached`.

May import: `base`, `store`, `units`, `masks`, `edits`.
To add an engine: one file, with its slow oracle under `tests/oracles`.
"""

from surplus.passes.class_sums import ClassSums
from surplus.passes.comoments import Comoments
from surplus.passes.comparison import compare
from surplus.passes.costs import file_bytes, num_macs, num_parameters
from surplus.passes.cross_features import Viewed, cross_features
from surplus.passes.cross_layer import CrossLayer
from surplus.passes.data import Data, batches
from surplus.passes.downstream import Downstream
from surplus.passes.estimates import Estimate, difference, mean_estimate, share_estimate
from surplus.passes.firing import Firing
from surplus.passes.gram import (
    directions,
    frame_potential,
    frame_potential_along,
    frame_potential_bounds,
    squared_overlaps,
)
from surplus.passes.observing import Statistics, Wanted, chunks, observe
from surplus.passes.pairs import (
    mean_cosine_distance,
    nearest,
    pair_cosines,
    signed_frame_potential,
)
from surplus.passes.performance import Performance, performance
from surplus.passes.readout import Readout, refusal, runs_of
from surplus.passes.removals import Removals, Singles
from surplus.passes.sampling import Sample, sampled
from surplus.passes.spanning import SpanningTree
from surplus.passes.spherical import degrees_to, spherical_centres
from surplus.passes.standing_in import stand_ins
from surplus.passes.subspaces import (
    leading_subspace,
    principal_degrees,
    random_degrees,
    relative_residuals,
)
from surplus.passes.taps import activations, by_example
from surplus.passes.targets import Quantity, Reached, keep_to

__all__ = [
    "ClassSums",
    "Comoments",
    "CrossLayer",
    "Data",
    "Downstream",
    "Estimate",
    "Firing",
    "Performance",
    "Quantity",
    "Reached",
    "Readout",
    "Removals",
    "Sample",
    "Singles",
    "SpanningTree",
    "Statistics",
    "Viewed",
    "Wanted",
    "activations",
    "batches",
    "by_example",
    "chunks",
    "compare",
    "cross_features",
    "degrees_to",
    "difference",
    "directions",
    "file_bytes",
    "frame_potential",
    "frame_potential_along",
    "frame_potential_bounds",
    "keep_to",
    "leading_subspace",
    "mean_cosine_distance",
    "mean_estimate",
    "nearest",
    "num_macs",
    "num_parameters",
    "observe",
    "pair_cosines",
    "performance",
    "principal_degrees",
    "random_degrees",
    "refusal",
    "relative_residuals",
    "runs_of",
    "sampled",
    "share_estimate",
    "signed_frame_potential",
    "spherical_centres",
    "squared_overlaps",
    "stand_ins",
]
