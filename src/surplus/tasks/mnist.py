"""MNIST: handwritten digits."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from surplus.base import register
from surplus.tasks.classification import Classification, Images
from surplus.tasks.files import read_file
from surplus.tasks.idx import idx_files, read_idx

URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"


@register("mnist")
@dataclass(frozen=True, kw_only=True, slots=True)
class MNIST(Classification):
    """60,000 training and 10,000 test images of handwritten digits, 28 x 28 grey.

    Reads `MNIST/raw/*-ubyte.gz` (IDX) from the data folder.

    Reference: lecun1998gradient.
    """

    references: ClassVar = ("lecun1998gradient",)
    shape: ClassVar = (1, 28, 28)
    classes: ClassVar = 10
    mean: ClassVar = (0.1307,)
    std: ClassVar = (0.3081,)
    files: ClassVar = idx_files(
        "MNIST/raw",
        URL,
        (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        ),
        (
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "d53e105ee54ea40749a09fcbcd1e9432",
        ),
        (
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "9fb629c4189551a2d022fa330f9573f3",
        ),
        (
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    )

    def read(self, folder: Path | None, download: bool) -> Images:
        """Return the data set as published."""
        return read_idx(self.files, lambda file: read_file(file, folder, download=download))
