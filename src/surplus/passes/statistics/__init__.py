"""One pass over the data for many measures: sums that do not grow with it.

What lives here: `observe`, which gathers the `Statistics` that are `Wanted`: `Comoments`, `Firing`, `ClassSums`,
`CrossLayer`, the `Readout`, and how right a classifier is, `Judged`; `chunks` of batches; `cross_features`, a pass
through several networks `Viewed` together; `runs_of` a module, and the `refusal` of those that do not fit.
"""

from surplus.passes.statistics.class_sums import ClassSums
from surplus.passes.statistics.comoments import Comoments
from surplus.passes.statistics.cross_features import Viewed, cross_features
from surplus.passes.statistics.cross_layer import CrossLayer
from surplus.passes.statistics.firing import Firing
from surplus.passes.statistics.judged import Judged
from surplus.passes.statistics.observing import Statistics, Wanted, chunks, observe
from surplus.passes.statistics.readout import Readout, refusal, runs_of

__all__ = [
    "ClassSums",
    "Comoments",
    "CrossLayer",
    "Firing",
    "Judged",
    "Readout",
    "Statistics",
    "Viewed",
    "Wanted",
    "chunks",
    "cross_features",
    "observe",
    "refusal",
    "runs_of",
]
