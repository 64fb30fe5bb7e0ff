"""The ground floor: errors, names, specs, seeds, tables, and the families that a spec may nest.

What lives here:
- errors: `SurplusError` and its kinds `InvalidArgument`, `UnknownName`, `DataMissing`, `CorruptFile`, `StorageFailure`,
  `RunExists` and `RunBusy`; `unknown_name`, `closest` and `check_sparsity`, which word them;
- `Family` and its registers: `register`, `members`, `lookup`, and `discover`, which opens a room;
- specs: `encode` and `decode` (frozen dataclass <-> JSON), `canonical`, `finite`, `fingerprint`, `label`;
- `bibliography` and `cite`; `Table` and its `Cell`; `derive`, the named random streams; `Clock`;
- `Recorder`, what a run writes to, with `RawTensor`, `Saved` and `Nowhere`, which forgets everything;
- the abstract families `Net`, `Task` (with `Part` and `Parts`), `Loss`, `Schedule`, `Moments`, `Probe` (with
  `RunState`) and `Intervention` (with `Change`), whose members live in their rooms.

May import: nothing of Surplus, and never torch.
To add a family: one file with one abstract class and one abstract method.
"""

from surplus.base.bibliography import bibliography, cite
from surplus.base.clock import Clock
from surplus.base.errors import (
    CorruptFile,
    DataMissing,
    InvalidArgument,
    RunBusy,
    RunExists,
    StorageFailure,
    SurplusError,
    UnknownName,
    check_sparsity,
    closest,
    unknown_name,
)
from surplus.base.family import Family, discover, lookup, members, register
from surplus.base.intervention import Change, Intervention
from surplus.base.loss import Loss
from surplus.base.moments import Moments
from surplus.base.net import Net
from surplus.base.probe import Probe, RunState
from surplus.base.recorder import Nowhere, RawTensor, Recorder, Saved
from surplus.base.schedule import Schedule
from surplus.base.seeds import derive
from surplus.base.specs import canonical, decode, encode, fingerprint, finite, label
from surplus.base.table import Cell, Table
from surplus.base.task import Part, Parts, Task

__all__ = [
    "Cell",
    "Change",
    "Clock",
    "CorruptFile",
    "DataMissing",
    "Family",
    "Intervention",
    "InvalidArgument",
    "Loss",
    "Moments",
    "Net",
    "Nowhere",
    "Part",
    "Parts",
    "Probe",
    "RawTensor",
    "Recorder",
    "RunBusy",
    "RunExists",
    "RunState",
    "Saved",
    "Schedule",
    "StorageFailure",
    "SurplusError",
    "Table",
    "Task",
    "UnknownName",
    "bibliography",
    "canonical",
    "check_sparsity",
    "cite",
    "closest",
    "decode",
    "derive",
    "discover",
    "encode",
    "fingerprint",
    "finite",
    "label",
    "lookup",
    "members",
    "register",
    "unknown_name",
]
