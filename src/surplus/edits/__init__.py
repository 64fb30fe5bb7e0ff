"""Structural edits: models that are really smaller or larger, the record that replays them, and files that hold both.

What lives here:
- `cut`, which removes units; `plan`, what a cut would do; `expand`, the way back, with zeros;
- `merge`, which removes units for which others are `StandIns`; `mergeable`, the mask of those that repeat others;
  `unmergeable`, why no unit of a group can stand in for another;
- `grow`, which adds `NewUnits`; `split`, which adds copies; `insert`, which adds a layer; `factorise`, which makes two
  narrow layers of one;
- their in-place twins `cut_`, `merge_`, `grow_`, `split_`, `insert_`, `factorise_`, which take the optimiser along;
- `masked`, what a cut model has to compute, and `NotEqual`, raised where it does not; `example_for`, the example on a
  model's device;
- `Edits`, the record of what was done: a tuple of `Resize` (made of `Kept` units, the `Slice` of every tensor, the
  `Count` of every integer and what was `Renumbered`), `Factorisation` and `Insertion`; `replay_` repeats it on a fresh
  model, `sliced` and `sliced_mask` on what is named like its tensors;
- `save` and `load` (`load_with_edits`), with the `Origin` that says how the first architecture is built; `to_raw` and
  `from_raw`, between torch and the store.

May import: `base`, `units`, `masks`, `nets`, `tasks`, `store`.
To add an edit: one file with its verb, its record in `records`, and its replay in `replaying`.
"""

from surplus.edits.cutting import cut
from surplus.edits.edits import Edits
from surplus.edits.expanding import expand
from surplus.edits.factorising import factorise
from surplus.edits.growing import grow
from surplus.edits.in_place import cut_, factorise_, grow_, insert_, merge_, split_
from surplus.edits.inserting import insert
from surplus.edits.merging import merge
from surplus.edits.new_units import NewUnits
from surplus.edits.planning import plan
from surplus.edits.records import Count, Factorisation, Insertion, Kept, Renumbered, Resize, Slice
from surplus.edits.repeating import mergeable, unmergeable
from surplus.edits.replaying import replay_, sliced, sliced_mask
from surplus.edits.saving import Origin, load, load_with_edits, save
from surplus.edits.splitting import split
from surplus.edits.stand_ins import StandIns
from surplus.edits.tensors import from_raw, to_raw
from surplus.edits.verifying import NotEqual, example_for, masked

__all__ = [
    "Count",
    "Edits",
    "Factorisation",
    "Insertion",
    "Kept",
    "NewUnits",
    "NotEqual",
    "Origin",
    "Renumbered",
    "Resize",
    "Slice",
    "StandIns",
    "cut",
    "cut_",
    "example_for",
    "expand",
    "factorise",
    "factorise_",
    "from_raw",
    "grow",
    "grow_",
    "insert",
    "insert_",
    "load",
    "load_with_edits",
    "masked",
    "merge",
    "merge_",
    "mergeable",
    "plan",
    "replay_",
    "save",
    "sliced",
    "sliced_mask",
    "split",
    "split_",
    "to_raw",
    "unmergeable",
]
