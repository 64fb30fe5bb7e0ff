"""Adapters to what lies outside; each imports its partner only when it is used.

What lives here:
- `export_onnx` and `export_program`, which write a model as ONNX and as a program of `torch.export`, checked by running
  it: they return `Exported`, or raise `NotExported`;
- `import_prune`, which takes the masks of `torch.nn.utils.prune` over, and `over_units`, which says what whole units a
  mask over weights removes.

May import: `base`, `units`, `masks`, `edits`, `store`.
To add an adapter: one file named for its partner, imported inside functions, and an extra in pyproject.toml.
"""

from surplus.interop.agreement import NotExported
from surplus.interop.exported import export_program
from surplus.interop.exporting import Exported
from surplus.interop.onnx import export_onnx
from surplus.interop.torch_prune import import_prune, over_units

__all__ = [
    "Exported",
    "NotExported",
    "export_onnx",
    "export_program",
    "import_prune",
    "over_units",
]
