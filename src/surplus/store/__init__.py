"""Run folders, event logs, tensor bundles and the index over them.

What lives here: `Store` (all runs below a folder), with a `Summary` of each from the SQLite index; `Run` and `Writer`
(one run, read and written); `read_bundle` and `write_bundle` (safetensors with a hash); `read_document` and
`write_document` (JSON with a hash); `Derived`, what was computed from a run later; event logs;
`Queue`, work that processes share, with what was `Taken` from it and each `Failure`; `check_folder`, which finds out
early whether a folder can be written.
May import: `base`. Never torch: tensors cross as name, type, shape and bytes.
To add a kind of file: write it through `files.write_whole`, and name its damage in `Run.problems`.
"""

from surplus.store.bundle import read_bundle, write_bundle
from surplus.store.derived import Derived
from surplus.store.document import read_document, write_document
from surplus.store.files import check_folder
from surplus.store.index import Summary
from surplus.store.queue import Failure, Queue, Taken
from surplus.store.run import Run
from surplus.store.store import Store
from surplus.store.writer import Writer

__all__ = [
    "Derived",
    "Failure",
    "Queue",
    "Run",
    "Store",
    "Summary",
    "Taken",
    "Writer",
    "check_folder",
    "read_bundle",
    "read_document",
    "write_bundle",
    "write_document",
]
