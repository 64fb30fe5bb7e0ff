"""Fashion-MNIST: articles of clothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from surplus.base import register
from surplus.tasks.classification import Classification, Images
from surplus.tasks.files import read_file
from surplus.tasks.idx import idx_files, read_idx

URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"


@register("fashion-mnist")
@dataclass(frozen=True, kw_only=True, slots=True)
class FashionMNIST(Classification):
    """60,000 training and 10,000 test images of clothing in ten classes, 28 x 28 grey.

    Reads `FashionMNIST/raw/*-ubyte.gz` (IDX) from the data folder.

    Reference: xiao2017fashion.
    """

    references: ClassVar = ("xiao2017fashion",)
    shape: ClassVar = (1, 28, 28)
    classes: ClassVar = 10
    mean: ClassVar = (0.2860,)
    std: ClassVar = (0.3530,)
    files: ClassVar = idx_files(
        "FashionMNIST/raw",
        URL,
        (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        ),
        (
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "25c81989df183df01b3e8a0aad5dffbe",
        ),
        (
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "bef4ecab320f06d8554ea6380940ec79",
        ),
        (
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    )

    def read(self, folder: Path | None, download: bool) -> Images:
        """Return the data set as published."""
        return read_idx(self.files, lambda file: read_file(file, folder, download=download))
