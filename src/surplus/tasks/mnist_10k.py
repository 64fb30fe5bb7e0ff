"""The balanced subset of MNIST that ships with Surplus, so that the demo and the tests need no network."""

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import ClassVar

from surplus.base import register
from surplus.tasks.classification import Classification, Images, Split
from surplus.tasks.files import DataFile, read_file
from surplus.tasks.idx import read_idx


def _file(name: str, contents: str) -> DataFile:
    return DataFile(name, f"sha256:{contents}", url="", download="")


@register("mnist-10k")
@dataclass(frozen=True, kw_only=True, slots=True)
class MNIST10k(Classification):
    """The first 1,000 training and first 200 test images of each digit of MNIST, embedded in the package.

    Accuracy on it is not comparable with accuracy on MNIST: a fifth of the test images, a sixth of the training ones.

    Reference: lecun1998gradient.
    """

    references: ClassVar = ("lecun1998gradient",)
    shape: ClassVar = (1, 28, 28)
    classes: ClassVar = 10
    mean: ClassVar = (0.1307,)
    std: ClassVar = (0.3081,)
    files: ClassVar = (
        _file(
            "train-images-idx3-ubyte.gz",
            "96448e792027ae8c3d693bf7f6685beb422442276734ffe24b7860a3581dcb08",
        ),
        _file(
            "train-labels-idx1-ubyte.gz",
            "dfa6309ccbfc44ab3df730fa9d1b133e2baeb0fe7db8e4bbdcd05d3e5bd811ea",
        ),
        _file(
            "t10k-images-idx3-ubyte.gz",
            "780e99a56e963f3affe4791a03545a6ddbdc0904dd880c7f3c50753282177303",
        ),
        _file(
            "t10k-labels-idx1-ubyte.gz",
            "b547e409b08f1d55c77b7f0964dfb27202f97c41c014d9427a3acecfcf6a7129",
        ),
    )

    split: Split = Split(num_validation=2000)
    """Train and validation."""

    def read(self, folder: Path | None, download: bool) -> Images:
        """Return the subset from inside the package; the arguments are not used."""
        with as_file(files("surplus.tasks") / "embedded") as embedded:
            return read_idx(self.files, lambda file: read_file(file, embedded, download=False))
