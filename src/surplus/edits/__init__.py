"""Structural edits: models that are really smaller, the record that replays them, and files that hold both.

What lives here:
- `cut` and its in-place twin `cut_`, which raise `NotEqual` where the result is not what `masked` computes;
  `plan`, what a cut would do; `example_for`, the example on a model's device;
- `expand`, the way back to the original architecture, with zeros;
- `Edits`, the record of what was done: a tuple of `Cut`, each made of `Kept` units, the `Slice` of every tensor and the
  `Count` of every integer that changed; `replay_` repeats it on a fresh model, `sliced` and `sliced_mask` on what is
  named like its tensors;
- `save` and `load` (`load_with_edits`), with the `Origin` that says how the first architecture is built; `to_raw` and
  `from_raw`, between torch and the store.

May import: `base`, `units`, `masks`, `nets`, `tasks`, `store`.
To add an edit: one file with its verb, a record in `Edits`, and its replay in `resize`.
"""

from surplus.edits.cutting import cut
from surplus.edits.edits import Count, Cut, Edits, Kept, Slice
from surplus.edits.expanding import expand
from surplus.edits.in_place import cut_
from surplus.edits.planning import plan
from surplus.edits.resize import replay_, sliced, sliced_mask
from surplus.edits.saving import Origin, load, load_with_edits, save
from surplus.edits.tensors import from_raw, to_raw
from surplus.edits.verifying import NotEqual, example_for, masked

__all__ = [
    "Count",
    "Cut",
    "Edits",
    "Kept",
    "NotEqual",
    "Origin",
    "Slice",
    "cut",
    "cut_",
    "example_for",
    "expand",
    "from_raw",
    "load",
    "load_with_edits",
    "masked",
    "plan",
    "replay_",
    "save",
    "sliced",
    "sliced_mask",
    "to_raw",
]
