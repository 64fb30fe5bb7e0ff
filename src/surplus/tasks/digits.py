"""Digits: the small handwritten digits that scikit-learn ships."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from surplus.base import derive, register
from surplus.tasks.classification import Classification, Images, Split
from surplus.tasks.files import DataFile, read_file

NUM_TEST = 360


@register("digits")
@dataclass(frozen=True, kw_only=True, slots=True)
class Digits(Classification):
    """1,797 images of handwritten digits, 8 x 8 grey with values 0 to 16.

    Reads `digits/digits.csv.gz` from the data folder. The data set has no published test part: 360 examples, drawn
    once and for all, are the test part here.

    Reference: alpaydin1998optical.
    """

    references: ClassVar = ("alpaydin1998optical",)
    shape: ClassVar = (1, 8, 8)
    classes: ClassVar = 10
    mean: ClassVar = (0.3053,)
    std: ClassVar = (0.3761,)
    scale: ClassVar = 16.0
    files: ClassVar = (
        DataFile(
            "digits/digits.csv.gz",
            "sha256:6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8",
            "https://raw.githubusercontent.com/scikit-learn/scikit-learn/1.5.2/sklearn/datasets/data/digits.csv.gz",
            "sha256:09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
        ),
    )

    split: Split = Split(num_validation=360)
    """Train and validation."""

    def read(self, folder: Path | None, download: bool) -> Images:
        """Return the data set with its fixed test part."""
        text = read_file(self.files[0], folder, download=download).decode()
        rows = torch.tensor(
            [[int(float(cell)) for cell in line.split(",")] for line in text.split()]
        )
        generator = torch.Generator().manual_seed(derive(0, "digits", "test"))
        order = torch.randperm(len(rows), generator=generator)
        test, train = rows[order[:NUM_TEST].sort().values], rows[order[NUM_TEST:].sort().values]
        return Images(*_images(train), *_images(test))


def _images(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return rows[:, :64].to(torch.uint8).view(-1, 1, 8, 8), rows[:, 64]
