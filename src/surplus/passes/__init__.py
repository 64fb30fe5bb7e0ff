"""Shared engines: exact ablation without re-running the network, Gram matrices, taps, costs.

What lives here: `Removals`, the loss and accuracy after every removal of units; `Downstream`, a chain taken apart at
one layer; frame potential from the Gram matrix; `tapped`; `performance`; `compare` and what it counts.
May import: `base`, `store`, `units`, `masks`, `edits`.
To add an engine: one file, with its slow oracle under `tests/oracles`.
"""

from surplus.passes.comparison import compare
from surplus.passes.costs import Latency, file_bytes, latencies, num_macs, num_parameters
from surplus.passes.data import Data, batches
from surplus.passes.downstream import Downstream
from surplus.passes.gram import (
    directions,
    frame_potential,
    frame_potential_along,
    frame_potential_bounds,
    squared_overlaps,
)
from surplus.passes.performance import Performance, performance
from surplus.passes.removals import Curves, Removals, Singles
from surplus.passes.taps import tapped

__all__ = [
    "Curves",
    "Data",
    "Downstream",
    "Latency",
    "Performance",
    "Removals",
    "Singles",
    "batches",
    "compare",
    "directions",
    "file_bytes",
    "frame_potential",
    "frame_potential_along",
    "frame_potential_bounds",
    "latencies",
    "num_macs",
    "num_parameters",
    "performance",
    "squared_overlaps",
    "tapped",
]
