"""Structural edits: models that are really smaller, the record that replays them, and files that hold both.

What lives here: `cut`; `Edits`, the record of what was done; `save` and `load`; `resize`, the one place where a
tensor changes its shape.
May import: `base`, `units`, `masks`, `nets`, `tasks`, `store`.
To add an edit: one file with its verb, a record in `Edits`, and its replay in `resize`.
"""

from surplus.edits.cutting import cut
from surplus.edits.edits import Cut, Edits, Kept, Slice
from surplus.edits.resize import replay_, sliced, sliced_mask
from surplus.edits.saving import Origin, load, load_with_edits, save
from surplus.edits.tensors import from_raw, to_raw
from surplus.edits.verifying import NotEqual

__all__ = [
    "Cut",
    "Edits",
    "Kept",
    "NotEqual",
    "Origin",
    "Slice",
    "cut",
    "from_raw",
    "load",
    "load_with_edits",
    "replay_",
    "save",
    "sliced",
    "sliced_mask",
    "to_raw",
]
