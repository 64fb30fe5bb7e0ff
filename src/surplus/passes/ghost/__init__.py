"""Gradients of single examples without forming them (decisions/0014-gradients-from-the-graph.md).

What lives here: `Ghost`, and what it `Passed` for a batch, with the `Rows` of weight matrices; `squared_norms`,
`gradient_gram`; over data, `gradient_sample` (a `GradientSample`, and on the way `MatrixSums`), each
`CoherenceQuantity` of its `Coherence`, and `gradient_grams`; `cross_entropies`, the loss.
"""

from surplus.passes.ghost.coherence import Coherence, CoherenceQuantity
from surplus.passes.ghost.collecting import GradientSample, gradient_grams, gradient_sample
from surplus.passes.ghost.engine import Ghost, Passed, squared_norms
from surplus.passes.ghost.gram import gradient_gram
from surplus.passes.ghost.loss import cross_entropies
from surplus.passes.ghost.matrix_sums import MatrixSums
from surplus.passes.ghost.rows import Rows

__all__ = [
    "Coherence",
    "CoherenceQuantity",
    "Ghost",
    "GradientSample",
    "MatrixSums",
    "Passed",
    "Rows",
    "cross_entropies",
    "gradient_gram",
    "gradient_grams",
    "gradient_sample",
    "squared_norms",
]
