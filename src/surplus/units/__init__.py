"""The units of a model: which slices of which tensors go together.

What lives here:
- `find_units`, which runs a model once and follows every operator that really runs
  (decisions/0009-tracing-by-dispatch.md);
- what it returns: `Units`, made of one `Group` per layer; a group's units have a `Slot` in every tensor they sit in, a
  `Tap` where their activations can be seen (by `tapped` and `tapping`; `is_activation` says of which operators they can
  be seen before), and perhaps a `Constraint` on how many can go;
  `Statistic`, `Size`, `Integer` and `Numbers`, what else a removal changes, and `renumbered`, how it changes these;
- what operators do to units, in the folder `rules`;
- `Place` and `Places`: where in a run an operator is; `source_line`, where in the user's code;
- helpers to run and copy a model without changing it: `arguments`, `copied`, `evaluating`, `left_as_found`,
  `plain_kernels`, `tensors_of`, `used_tensor`;
- `own_tensors`, `parametrisations` and `recompute_`, for modules whose weights are computed; `layer_of` a parameter;
- `every`, the index map of plain layers; `kept_along`, what a removal leaves of an axis;
- chains, `chain_of` and `is_chain`: networks whose module list says how they run.

May import: `base`.
To add an operator that units can be followed through: enter it in the table of its kind under `rules`.
"""

from surplus.units.calling import source_line
from surplus.units.chain import chain_of, copied, evaluating, is_chain, left_as_found
from surplus.units.computed import layer_of, own_tensors, parametrisations, recompute_
from surplus.units.find import find_units
from surplus.units.flow import Integer, Size, Statistic
from surplus.units.group import Constraint, Group, Slot, Tap, every
from surplus.units.numbers import Numbers, renumbered
from surplus.units.places import Place, Places
from surplus.units.probing import kept_along
from surplus.units.tapping import is_activation, tapped, tapping
from surplus.units.tracing import arguments, plain_kernels
from surplus.units.units import Units, tensors_of, used_tensor

__all__ = [
    "Constraint",
    "Group",
    "Integer",
    "Numbers",
    "Place",
    "Places",
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
    "is_activation",
    "is_chain",
    "kept_along",
    "layer_of",
    "left_as_found",
    "own_tensors",
    "parametrisations",
    "plain_kernels",
    "recompute_",
    "renumbered",
    "source_line",
    "tapped",
    "tapping",
    "tensors_of",
    "used_tensor",
]
