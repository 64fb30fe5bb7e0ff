"""The units of a model: which slices of which tensors go together.

What lives here: `find_units`; `Units`, `Group`, `Slot`, `Constraint`; chains and how they are walked. So far units are
followed through chains of layers; what cannot be followed is a named, protected group.
May import: `base`.
To add a layer that units can be followed through: enter its type in the table in `find.py`.
"""

from surplus.units.chain import chain_of, evaluating, is_chain
from surplus.units.find import find_units
from surplus.units.group import Constraint, Group, Slot, every
from surplus.units.units import Units

__all__ = [
    "Constraint",
    "Group",
    "Slot",
    "Units",
    "chain_of",
    "evaluating",
    "every",
    "find_units",
    "is_chain",
]
