"""The units of a model: which slices of which tensors go together.

What lives here:
- `find_units`, which runs a model once and follows every operator that really runs
  (decisions/0009-tracing-by-dispatch.md);
- what it returns: `Units`, made of one `Group` per layer; a group's units have a `Slot` in every tensor they sit in, a
  `Tap` where their activations can be seen, and perhaps a `Constraint` on how many can go; `Statistic`, `Size` and
  `Integer`, what else a removal changes;
- what operators do to units, in the folder `rules`;
- helpers to run and copy a model without changing it: `arguments`, `copied`, `evaluating`, `left_as_found`,
  `plain_kernels`, `tensors_of`; `own_tensors`, `parametrisations` and `recompute_`, for modules whose weights are
  computed; `every`, the index map of plain layers; `kept_along`, what a removal leaves of an axis;
- chains, `chain_of` and `is_chain`: networks whose module list says how they run.

May import: `base`.
To add an operator that units can be followed through: enter it in the table of its kind under `rules`.
"""

from surplus.units.chain import chain_of, copied, evaluating, is_chain, left_as_found
from surplus.units.computed import own_tensors, parametrisations, recompute_
from surplus.units.find import find_units
from surplus.units.flow import Integer, Size, Statistic
from surplus.units.group import Constraint, Group, Slot, Tap, every
from surplus.units.probing import kept_along
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
    "kept_along",
    "left_as_found",
    "own_tensors",
    "parametrisations",
    "plain_kernels",
    "recompute_",
    "tensors_of",
]
