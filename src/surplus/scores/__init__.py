"""What to cut: one criterion per file; higher = more worth keeping.

What lives here: the family `Score` and its members; `score`, which asks one about a model; `Layer`, all that a
criterion may look at; `order_of_removal`, a criterion's greedy order.
May import: `base`, `units`, `masks`, `passes`.
To add a criterion: one file with a final member of `Score` whose `score` returns one value per unit. If the values
depend on which units are left, override `start` too; `rankings.py` has forms that follow removals.
"""

from surplus.base import discover
from surplus.scores.layer import Layer
from surplus.scores.rankings import order_of_removal
from surplus.scores.score import Score
from surplus.scores.scoring import score

_found, __getattr__ = discover(__name__)

__all__ = [  # noqa: PLE0604 - the members are found, not listed
    "Layer",
    "Score",
    "order_of_removal",
    "score",
    *_found,
]
