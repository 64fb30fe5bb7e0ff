"""CIFAR-100: small colour photographs in a hundred classes."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from surplus.base import register
from surplus.tasks.cifar import read_records
from surplus.tasks.classification import Classification, Images
from surplus.tasks.files import DataFile, read_file


def _file(name: str, contents: str) -> DataFile:
    path = f"cifar-100-binary/{name}"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
    return DataFile(path, f"md5:{contents}", url, "md5:03b5dce01913d631647c71ecec9e9cb8", path)


@register("cifar-100")
@dataclass(frozen=True, kw_only=True, slots=True)
class CIFAR100(Classification):
    """50,000 training and 10,000 test photographs in a hundred classes (fine labels), 3 x 32 x 32 colour.

    Reads `cifar-100-binary/*.bin` from the data folder; nothing of it ships with Surplus, so download it on request.

    Reference: krizhevsky2009learning.
    """

    references: ClassVar = ("krizhevsky2009learning",)
    shape: ClassVar = (3, 32, 32)
    classes: ClassVar = 100
    mean: ClassVar = (0.5071, 0.4865, 0.4409)
    std: ClassVar = (0.2673, 0.2564, 0.2762)
    files: ClassVar = (
        _file("train.bin", "6172c7755cfe09b2fe270c85cebc1b15"),
        _file("test.bin", "4499cfba6c016c1be1438163640a0898"),
    )

    def read(self, folder: Path | None, download: bool) -> Images:
        """Return the data set as published."""
        (train, train_labels), (test, test_labels) = (
            read_records(read_file(file, folder, download=download), 2, file.path)
            for file in self.files
        )
        return Images(train, train_labels, test, test_labels)
