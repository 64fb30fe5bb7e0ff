"""Procedures: training runs into the store, ablation, cutting, scheduled pruning, weight geometry over a run.

What lives here:
- `train` and `train_all`, which bring runs to their end; `Context`, where to work;
- `spec_of`, `model_of` and `units_of`, from a run's folder back to objects; `address`, from a spec to its folder;
- the family `Method`, procedures on a run whose `Results` are kept beside it, one per file;
- `Subject`, the network that a method works on, as `subject_of_run` and `subject_of_bundle` return it;
- `measure`, which asks measures about a model or a run;
- `best_cut`, the choice between criteria on validation.

May import: `base`, `store`, `units`, `nets`, `tasks`, `masks`, `edits`, `passes`, `scores`, `measures`, `training`.
To add a method: one file with a final member of `Method` whose `compute` returns tables.
"""

from surplus.base import discover
from surplus.methods.choosing import best_cut
from surplus.methods.context import Context
from surplus.methods.launch import train, train_all
from surplus.methods.measure import measure
from surplus.methods.method import Method
from surplus.methods.results import Results
from surplus.methods.runs import address, model_of, spec_of, units_of
from surplus.methods.subject import Subject, subject_of_bundle, subject_of_run

_found, __getattr__ = discover(__name__)

__all__ = [  # noqa: PLE0604 - the members are found, not listed
    "Context",
    "Method",
    "Results",
    "Subject",
    "address",
    "best_cut",
    "measure",
    "model_of",
    "spec_of",
    "subject_of_bundle",
    "subject_of_run",
    "train",
    "train_all",
    "units_of",
    *_found,
]
