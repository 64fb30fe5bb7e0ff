"""What networks learn: local readers of real data sets, with label noise, random labels and subsets.

What lives here: one data set per file; `Classification`, the template they fill, with its options `Split` and `Labels`;
`Images`, a data set as published; `DataFile` and `read_file`, its checked files; `ImagePart`, a part held in memory;
`relabelled`, which does to labels what `Labels` says;
`Synthetic`, the template of tasks that are made from known directions, drawn from a `stream` of their seed into a
`VectorPart` as `vector_part` returns it; in `losses`, what training makes small, one per file.
May import: `base`.
To add a data set: one file with a final member of `Classification` that says its constants and how to `read` itself.
"""

from surplus.base import discover
from surplus.tasks.classification import Classification, Images, Labels, Split, relabelled
from surplus.tasks.files import DataFile, read_file
from surplus.tasks.part import ImagePart
from surplus.tasks.synthetic import Synthetic, stream
from surplus.tasks.vector_part import VectorPart, vector_part

_found, __getattr__ = discover(__name__)

__all__ = [  # noqa: PLE0604 - the members are found, not listed
    "Classification",
    "DataFile",
    "ImagePart",
    "Images",
    "Labels",
    "Split",
    "Synthetic",
    "VectorPart",
    "read_file",
    "relabelled",
    "stream",
    "vector_part",
    *_found,
]
