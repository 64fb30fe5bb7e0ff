"""Run folders, event logs, tensor bundles and the index over them.

What lives here: `Store` (all runs below a folder), `Run` and `Writer` (one run), bundles (safetensors with a hash),
documents (JSON with a hash), event logs, derived results, the SQLite index.
May import: `base`. Never torch: tensors cross as name, type, shape and bytes.
To add a kind of file: write it through `files.write_whole`, and name its damage in `Run.problems`.
"""

from surplus.store.bundle import Bundle, read_bundle, write_bundle
from surplus.store.derived import Derived
from surplus.store.document import read_document, write_document
from surplus.store.events import Event, Events
from surplus.store.index import Summary
from surplus.store.run import Run, Status
from surplus.store.store import Store
from surplus.store.writer import Writer

__all__ = [
    "Bundle",
    "Derived",
    "Event",
    "Events",
    "Run",
    "Status",
    "Store",
    "Summary",
    "Writer",
    "read_bundle",
    "read_document",
    "write_bundle",
    "write_document",
]
