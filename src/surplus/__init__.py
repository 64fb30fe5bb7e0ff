"""Surplus finds, measures, removes, grows and shows the surplus in neural networks.

    import surplus as sp

    units = sp.find_units(model, example)
    scores = sp.score(model, units, by=sp.scores.Magnitude())
    smaller, edits = sp.cut(model, sp.keep(scores, sparsity=0.5))

Names are loaded when they are first used, so `import surplus` costs nothing: no torch is imported.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from surplus import interop, masks, methods, nets, scores, tasks, training, viewer
    from surplus.base import SurplusError, Table, cite
    from surplus.edits.cutting import cut
    from surplus.edits.edits import Edits
    from surplus.edits.expanding import expand
    from surplus.edits.in_place import cut_
    from surplus.edits.planning import plan
    from surplus.edits.saving import load, save
    from surplus.masks.enforcing import enforce
    from surplus.masks.keeping import keep
    from surplus.masks.mask import Mask
    from surplus.masks.scores import Scores
    from surplus.methods.context import Context
    from surplus.methods.launch import train
    from surplus.methods.runs import model_of, spec_of
    from surplus.passes.comparison import compare
    from surplus.passes.removals import Removals
    from surplus.passes.targets import keep_to
    from surplus.scores.scoring import score
    from surplus.store import Run, Store
    from surplus.training.spec import From, Spec, Training
    from surplus.units.find import find_units
    from surplus.units.units import Units
    from surplus.viewer import write_report

__version__ = "0.1.0"

_HOMES = {
    "base": ("SurplusError", "Table", "cite"),
    "edits": ("Edits", "cut", "cut_", "expand", "load", "plan", "save"),
    "masks": ("Mask", "Scores", "enforce", "keep"),
    "methods": ("Context", "model_of", "spec_of", "train"),
    "passes": ("Removals", "compare", "keep_to"),
    "scores": ("score",),
    "store": ("Run", "Store"),
    "training": ("From", "Spec", "Training"),
    "units": ("Units", "find_units"),
    "viewer": ("write_report",),
}
_ROOMS = ("interop", "masks", "methods", "nets", "scores", "tasks", "training", "viewer")
_WHERE = {name: room for room, names in _HOMES.items() for name in names}

__all__ = [
    "Context",
    "Edits",
    "From",
    "Mask",
    "Removals",
    "Run",
    "Scores",
    "Spec",
    "Store",
    "SurplusError",
    "Table",
    "Training",
    "Units",
    "__version__",
    "cite",
    "compare",
    "cut",
    "cut_",
    "enforce",
    "expand",
    "find_units",
    "interop",
    "keep",
    "keep_to",
    "load",
    "masks",
    "methods",
    "model_of",
    "nets",
    "plan",
    "save",
    "score",
    "scores",
    "spec_of",
    "tasks",
    "train",
    "training",
    "viewer",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"surplus.{name}")
    if name in _WHERE:
        value = getattr(importlib.import_module(f"surplus.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'surplus' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
