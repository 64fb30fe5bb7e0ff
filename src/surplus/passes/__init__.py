"""Shared engines: exact ablation without re-running the network, one pass for many measures, gradients, costs.

What lives here:
- `Data`, what the engines are given, `batches` of it (`pairs`: as they are), and a `Sample` as `sampled` draws it
  (`draw`: with the numbers of the examples); `activations`, the outputs of a group's units, and `by_example`, which
  shapes them; `are_labels`, and `check_labels`, which refuses other targets;
- `Removals`, the loss and accuracy after every removal of units, with its `Singles` and `Pairs`, and the `removal_macs`
  that one takes; `shapley` values of units by it, as a `Shapley`; `Downstream`, a chain taken apart at one layer;
  `agreement` of masked networks with the network itself, an `Agreement`; `Answers`, data whose targets are a network's
  own; what a model gives `evaluated`;
- `stand_ins`, removed units as combinations of the kept ones, fitted to activations (`Fitting`: many choices of them);
  `TakingOver`, what a layer is worth when these do the work;
- `performance`, which returns a `Performance`; `num_parameters`, `num_macs` and `file_bytes`, what a network costs;
  `compare`, the table of all that; `keep_to` a `Quantity`, with what was `Reached`;
- `Estimate`: `mean_estimate`, `share_estimate` and the `difference` of two, with their intervals;
- `linked`, which things hang together; what of each column all others leave `unexplained`, and the `num_directions` of
  a spectrum; the `gini` coefficient and the `rank_correlation` of numbers;
- `path_norm`, a sum over all paths through a network; `margins` of a classifier's examples, as `Margins`;
- `order_parameters`, a file with a door of its own: the exact equations of a student that learns from a teacher;
- folders with doors of their own: `statistics`, the one pass over the data; `geometry` of weight vectors; `ghost`,
  gradients of single examples; `spectra` of weight matrices; `curvature` of the loss.

May import: `base`, `store`, `units`, `tasks`, `masks`, `edits`.
To add an engine: one file, with its slow oracle under `tests/oracles`.
"""

from surplus.passes.agreeing import Agreement, Answers, agreement, evaluated
from surplus.passes.comparison import compare
from surplus.passes.concentration import gini, rank_correlation
from surplus.passes.costs import file_bytes, num_macs, num_parameters
from surplus.passes.data import Data, are_labels, batches, check_labels, pairs
from surplus.passes.dependence import num_directions, unexplained
from surplus.passes.downstream import Downstream
from surplus.passes.estimates import Estimate, difference, mean_estimate, share_estimate
from surplus.passes.linking import linked
from surplus.passes.margins import Margins, margins
from surplus.passes.path_norm import path_norm
from surplus.passes.performance import Performance, performance
from surplus.passes.removals import Pairs, Removals, Singles, removal_macs
from surplus.passes.sampling import Sample, draw, sampled
from surplus.passes.shapley import Shapley, shapley
from surplus.passes.standing_in import Fitting, stand_ins
from surplus.passes.taking_over import TakingOver
from surplus.passes.taps import activations, by_example
from surplus.passes.targets import Quantity, Reached, keep_to

__all__ = [
    "Agreement",
    "Answers",
    "Data",
    "Downstream",
    "Estimate",
    "Fitting",
    "Margins",
    "Pairs",
    "Performance",
    "Quantity",
    "Reached",
    "Removals",
    "Sample",
    "Shapley",
    "Singles",
    "TakingOver",
    "activations",
    "agreement",
    "are_labels",
    "batches",
    "by_example",
    "check_labels",
    "compare",
    "difference",
    "draw",
    "evaluated",
    "file_bytes",
    "gini",
    "keep_to",
    "linked",
    "margins",
    "mean_estimate",
    "num_directions",
    "num_macs",
    "num_parameters",
    "pairs",
    "path_norm",
    "performance",
    "rank_correlation",
    "removal_macs",
    "sampled",
    "shapley",
    "share_estimate",
    "stand_ins",
    "unexplained",
]
