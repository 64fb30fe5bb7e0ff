"""Shared engines: exact ablation without re-running the network, Gram matrices, taps, costs.

What lives here:
- `Removals`, the loss and accuracy after every removal of units, with its `Singles`, and the `removal_macs` that one
  takes; `Downstream`, a chain taken apart at one layer;
- `frame_potential`, `frame_potential_along` an order, `frame_potential_bounds`, and what they are made of: `directions`
  and `squared_overlaps`; `pair_cosines` and `nearest` neighbours, `mean_cosine_distance` and `signed_frame_potential`;
- `SpanningTree`, the components of a weighted graph at every cut-off;
- `spherical_centres`, clusters of directions, and `degrees_to` them;
- `leading_subspace`, the `principal_degrees` between two, `random_degrees`, and `relative_residuals` outside one;
- `path_norm`, a sum over all paths through a network;
- `margins` of a classifier's examples, as `Margins`;
- `Estimate`: `mean_estimate`, `share_estimate` and the `difference` of two, with their intervals;
- `Data`, what the engines are given, `batches` of it, and a `Sample` as `sampled` draws it (`draw`: with the
  numbers of the examples);
  `activations`, the outputs of a group's units, and `by_example`, which shapes them;
- `observe`, the one pass over the data that gathers the `Statistics` that are `Wanted`: `Comoments`, `Firing`,
  `ClassSums`, `CrossLayer` and the `Readout`; `chunks` of batches; `cross_features`, a pass through several networks
  `Viewed` together; `runs_of` a module, and the `refusal` of those that do not fit;
- `agreement` of masked networks with the network itself, an `Agreement`; `Answers`, data whose targets are a network's
  own; what a model gives `evaluated`; `are_labels`; the `interval` of a mean, an `Interval`;
- `linked`, which things hang together; what of each column all others leave `unexplained`, and the `num_directions` of
  a spectrum;
- `Ghost`, gradients of single examples without forming them (decisions/0014-gradients-from-the-graph.md): what it
  `Passed` for a batch, with the `Rows` of weight matrices, `gradient_gram` and `squared_norms`; over data,
  `gradient_sample` (a `GradientSample`, and on the way `MatrixSums`), each `CoherenceQuantity` of its `Coherence`, and
  `gradient_grams`; `cross_entropies`, the loss;
- `stand_ins`, removed units as combinations of the kept ones, fitted to activations;
- in the folder `spectra`: singular values, the law of noise and its fit, power laws in tails, ranks, phases;
- `performance`, which returns a `Performance`; `num_parameters`, `num_macs` and `file_bytes`, what a network costs;
  `compare`, the table of all that; `keep_to` a `Quantity`, with what was `Reached`;
- in the folder `curvature`, eigenvalues, trace and density of the loss's Hessian and Gauss-Newton matrix.

May import: `base`, `store`, `units`, `masks`, `edits`.
To add an engine: one file, with its slow oracle under `tests/oracles`.
"""

from surplus.passes.agreeing import Agreement, Answers, agreement, are_labels, evaluated
from surplus.passes.class_sums import ClassSums
from surplus.passes.comoments import Comoments
from surplus.passes.comparison import compare
from surplus.passes.costs import file_bytes, num_macs, num_parameters
from surplus.passes.cross_features import Viewed, cross_features
from surplus.passes.cross_layer import CrossLayer
from surplus.passes.data import Data, batches
from surplus.passes.dependence import num_directions, unexplained
from surplus.passes.downstream import Downstream
from surplus.passes.estimates import Estimate, difference, mean_estimate, share_estimate
from surplus.passes.firing import Firing
from surplus.passes.ghost.coherence import Coherence, CoherenceQuantity
from surplus.passes.ghost.collecting import GradientSample, gradient_grams, gradient_sample
from surplus.passes.ghost.engine import Ghost, Passed, squared_norms
from surplus.passes.ghost.gram import gradient_gram
from surplus.passes.ghost.loss import cross_entropies
from surplus.passes.ghost.matrix_sums import MatrixSums
from surplus.passes.ghost.rows import Rows
from surplus.passes.gram import (
    directions,
    frame_potential,
    frame_potential_along,
    frame_potential_bounds,
    squared_overlaps,
)
from surplus.passes.intervals import Interval, interval
from surplus.passes.linking import linked
from surplus.passes.margins import Margins, margins
from surplus.passes.observing import Statistics, Wanted, chunks, observe
from surplus.passes.pairs import (
    mean_cosine_distance,
    nearest,
    pair_cosines,
    signed_frame_potential,
)
from surplus.passes.path_norm import path_norm
from surplus.passes.performance import Performance, performance
from surplus.passes.readout import Readout, refusal, runs_of
from surplus.passes.removals import Removals, Singles, removal_macs
from surplus.passes.sampling import Sample, draw, sampled
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
    "Agreement",
    "Answers",
    "ClassSums",
    "Coherence",
    "CoherenceQuantity",
    "Comoments",
    "CrossLayer",
    "Data",
    "Downstream",
    "Estimate",
    "Firing",
    "Ghost",
    "GradientSample",
    "Interval",
    "Margins",
    "MatrixSums",
    "Passed",
    "Performance",
    "Quantity",
    "Reached",
    "Readout",
    "Removals",
    "Rows",
    "Sample",
    "Singles",
    "SpanningTree",
    "Statistics",
    "Viewed",
    "Wanted",
    "activations",
    "agreement",
    "are_labels",
    "batches",
    "by_example",
    "chunks",
    "compare",
    "cross_entropies",
    "cross_features",
    "degrees_to",
    "difference",
    "directions",
    "draw",
    "evaluated",
    "file_bytes",
    "frame_potential",
    "frame_potential_along",
    "frame_potential_bounds",
    "gradient_gram",
    "gradient_grams",
    "gradient_sample",
    "interval",
    "keep_to",
    "leading_subspace",
    "linked",
    "margins",
    "mean_cosine_distance",
    "mean_estimate",
    "nearest",
    "num_directions",
    "num_macs",
    "num_parameters",
    "observe",
    "pair_cosines",
    "path_norm",
    "performance",
    "principal_degrees",
    "random_degrees",
    "refusal",
    "relative_residuals",
    "removal_macs",
    "runs_of",
    "sampled",
    "share_estimate",
    "signed_frame_potential",
    "spherical_centres",
    "squared_norms",
    "squared_overlaps",
    "stand_ins",
    "unexplained",
]
