"""Procedures: training runs into the store, ablation, cutting, scheduled pruning, weight geometry over a run.

What lives here: `train`; the family `Method`, procedures on a run whose tables are kept beside it; `Context`, where to
work; `spec_of` and `model_of`, from a run's folder back to objects.
May import: `base`, `store`, `units`, `masks`, `edits`, `passes`, `scores`, `nets`, `tasks`, `training`.
To add a method: one file with a final member of `Method` whose `compute` returns tables.
"""

from surplus.base import discover
from surplus.methods.choosing import Choice, best_cut, best_order
from surplus.methods.context import Context
from surplus.methods.launch import train, train_all
from surplus.methods.method import Method
from surplus.methods.results import Results
from surplus.methods.runs import address, model_of, origin_of, spec_of, units_of
from surplus.methods.subject import Subject, subject_of_bundle, subject_of_run

_found, __getattr__ = discover(__name__)

__all__ = [  # noqa: PLE0604 - the members are found, not listed
    "Choice",
    "Context",
    "Method",
    "Results",
    "Subject",
    "address",
    "best_cut",
    "best_order",
    "model_of",
    "origin_of",
    "spec_of",
    "subject_of_bundle",
    "subject_of_run",
    "train",
    "train_all",
    "units_of",
    *_found,
]
