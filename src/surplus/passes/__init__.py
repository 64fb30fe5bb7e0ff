"""Shared engines: exact ablation without re-running the network, Gram matrices, taps, costs.

What lives here:
- `Removals`, the loss and accuracy after every removal of units, with its `Singles`, and the `removal_macs` that one
  takes; `Downstream`, a chain taken apart at one layer;
- `frame_potential`, `frame_potential_along` an order, `frame_potential_bounds`, and what they are made of: `directions`
  and `squared_overlaps`;
- `Data`, what the engines are given, `batches` of it, and a `Sample` as `sampled` draws it; `activations`, the outputs
  of a group's units;
- `observe`, the one pass over the data that gathers the `Statistics` that are `Wanted`: `Comoments`, `Firing` and
  `ClassSums`; `chunks` of batches;
- `agreement` of masked networks with the network itself, an `Agreement`; `Answers`, data whose targets are a network's
  own; what a model gives `evaluated`; `are_labels`; the `interval` of a mean, an `Interval`;
- `linked`, which things hang together; what of each column all others leave `unexplained`, and the `num_directions` of
  a spectrum;
- `stand_ins`, removed units as combinations of the kept ones, fitted to activations;
- `performance`, which returns a `Performance`; `num_parameters`, `num_macs` and `file_bytes`, what a network costs;
  `compare`, the table of all that; `keep_to` a `Quantity`, with what was `Reached`.

May import: `base`, `store`, `units`, `masks`, `edits`.
To add an engine: one file, with its slow oracle under `tests/oracles`.
"""

from surplus.passes.agreeing import Agreement, Answers, agreement, are_labels, evaluated
from surplus.passes.class_sums import ClassSums
from surplus.passes.comoments import Comoments
from surplus.passes.comparison import compare
from surplus.passes.costs import file_bytes, num_macs, num_parameters
from surplus.passes.data import Data, batches
from surplus.passes.dependence import num_directions, unexplained
from surplus.passes.downstream import Downstream
from surplus.passes.firing import Firing
from surplus.passes.gram import (
    directions,
    frame_potential,
    frame_potential_along,
    frame_potential_bounds,
    squared_overlaps,
)
from surplus.passes.intervals import Interval, interval
from surplus.passes.linking import linked
from surplus.passes.observing import Statistics, Wanted, chunks, observe
from surplus.passes.performance import Performance, performance
from surplus.passes.removals import Removals, Singles, removal_macs
from surplus.passes.sampling import Sample, sampled
from surplus.passes.standing_in import stand_ins
from surplus.passes.taps import activations
from surplus.passes.targets import Quantity, Reached, keep_to

__all__ = [
    "Agreement",
    "Answers",
    "ClassSums",
    "Comoments",
    "Data",
    "Downstream",
    "Firing",
    "Interval",
    "Performance",
    "Quantity",
    "Reached",
    "Removals",
    "Sample",
    "Singles",
    "Statistics",
    "Wanted",
    "activations",
    "agreement",
    "are_labels",
    "batches",
    "chunks",
    "compare",
    "directions",
    "evaluated",
    "file_bytes",
    "frame_potential",
    "frame_potential_along",
    "frame_potential_bounds",
    "interval",
    "keep_to",
    "linked",
    "num_directions",
    "num_macs",
    "num_parameters",
    "observe",
    "performance",
    "removal_macs",
    "sampled",
    "squared_overlaps",
    "stand_ins",
    "unexplained",
]
