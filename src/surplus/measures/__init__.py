"""How redundant a network is, where, and of what kind: one measure per file; none of them changes a model.

What lives here: the family `Measure` and its members; `Observed`, all that one may look at, and what they state:
`Finding`; `per_layer`, which names layers that cannot be treated (`Untreated`) with the reason; `observed`, `findings`
and `table_of`, which gather what several measures need in one pass and ask them; `check_measures`; and the `verdict`,
which puts a report into words.
May import: `base`, `units`, `masks`, `passes`.
To add a measure: one file with a final member of `Measure` that declares what it `needs`.
"""

from surplus.base import discover
from surplus.measures.finding import Finding
from surplus.measures.measure import Measure
from surplus.measures.measuring import check_measures, findings, observed, table_of
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, per_layer
from surplus.measures.verdict import verdict

_found, __getattr__ = discover(__name__)

__all__ = [  # noqa: PLE0604 - the members are found, not listed
    "Finding",
    "Measure",
    "Observed",
    "Untreated",
    "check_measures",
    "findings",
    "observed",
    "per_layer",
    "table_of",
    "verdict",
    *_found,
]
