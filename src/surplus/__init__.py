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
    from surplus import (
        interop,
        masks,
        measures,
        methods,
        nets,
        scores,
        studies,
        tasks,
        training,
        viewer,
    )
    from surplus.base import SurplusError, Table, cite
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
    from surplus.edits.repeating import mergeable
    from surplus.edits.saving import load, save
    from surplus.edits.splitting import split
    from surplus.edits.stand_ins import StandIns
    from surplus.masks.enforcing import enforce
    from surplus.masks.keeping import keep
    from surplus.masks.mask import Mask
    from surplus.masks.scores import Scores
    from surplus.methods.context import Context
    from surplus.methods.launch import train
    from surplus.methods.measure import measure
    from surplus.methods.runs import model_of, spec_of
    from surplus.passes.comparison import compare
    from surplus.passes.removals import Removals
    from surplus.passes.standing_in import stand_ins
    from surplus.passes.targets import keep_to
    from surplus.scores.scoring import score
    from surplus.store import Run, Store
    from surplus.studies.conduct import study
    from surplus.training.spec import From, Spec, Training
    from surplus.units.find import find_units
    from surplus.units.units import Units
    from surplus.viewer import write_report

__version__ = "0.1.0"

_HOMES = {
    "base": ("SurplusError", "Table", "cite"),
    "edits": (
        "Edits",
        "NewUnits",
        "StandIns",
        "cut",
        "cut_",
        "expand",
        "factorise",
        "factorise_",
        "grow",
        "grow_",
        "insert",
        "insert_",
        "load",
        "merge",
        "merge_",
        "mergeable",
        "plan",
        "save",
        "split",
        "split_",
    ),
    "masks": ("Mask", "Scores", "enforce", "keep"),
    "methods": ("Context", "measure", "model_of", "spec_of", "train"),
    "passes": ("Removals", "compare", "keep_to", "stand_ins"),
    "scores": ("score",),
    "store": ("Run", "Store"),
    "studies": ("study",),
    "training": ("From", "Spec", "Training"),
    "units": ("Units", "find_units"),
    "viewer": ("write_report",),
}
_ROOMS = (
    "interop",
    "masks",
    "measures",
    "methods",
    "nets",
    "scores",
    "studies",
    "tasks",
    "training",
    "viewer",
)
_WHERE = {name: room for room, names in _HOMES.items() for name in names}

__all__ = [
    "Context",
    "Edits",
    "From",
    "Mask",
    "NewUnits",
    "Removals",
    "Run",
    "Scores",
    "Spec",
    "StandIns",
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
    "factorise",
    "factorise_",
    "find_units",
    "grow",
    "grow_",
    "insert",
    "insert_",
    "interop",
    "keep",
    "keep_to",
    "load",
    "masks",
    "measure",
    "measures",
    "merge",
    "merge_",
    "mergeable",
    "methods",
    "model_of",
    "nets",
    "plan",
    "save",
    "score",
    "scores",
    "spec_of",
    "split",
    "split_",
    "stand_ins",
    "studies",
    "study",
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
