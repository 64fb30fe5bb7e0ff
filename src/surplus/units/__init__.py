"""The units of a model: which slices of which tensors go together.

What lives here: `find_units`, which runs a model once and follows every operator; `Units`, `Group`, `Slot`,
`Constraint`, `Tap`, `Statistic`; what an operator does to units (folder `rules`); chains, and helpers for running and
copying a model without changing it: `arguments`, `copied`, `evaluating`, `plain_kernels`, `tensors_of`.
May import: `base`.
To add an operator that units can be followed through: enter it in the table of its kind under `rules`.
"""

from surplus.units.chain import chain_of, copied, evaluating, is_chain
from surplus.units.find import find_units
from surplus.units.flow import Integer, Size, Statistic
from surplus.units.group import Constraint, Group, Slot, Tap, every
from surplus.units.tracing import arguments, plain_kernels
from surplus.units.units import Units, tensors_of

__all__ = [
    "Constraint",
    "Group",
    "Integer",
    "Size",
    "Slot",
    "Statistic",
    "Tap",
    "Units",
    "arguments",
    "chain_of",
    "copied",
    "evaluating",
    "every",
    "find_units",
    "is_chain",
    "plain_kernels",
    "tensors_of",
]
