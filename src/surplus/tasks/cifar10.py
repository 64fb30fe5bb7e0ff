"""CIFAR-10: small colour photographs in ten classes."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from surplus.base import register
from surplus.tasks.cifar import read_records
from surplus.tasks.classification import Classification, Images
from surplus.tasks.files import DataFile, read_file


def _file(name: str, contents: str) -> DataFile:
    path = f"cifar-10-batches-bin/{name}"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    return DataFile(path, f"sha256:{contents}", url, "md5:c32a1d4ab5d03f1284b67883e8d87530", path)


@register("cifar-10")
@dataclass(frozen=True, kw_only=True, slots=True)
class CIFAR10(Classification):
    """50,000 training and 10,000 test photographs in ten classes, 3 x 32 x 32 colour.

    Reads `cifar-10-batches-bin/*.bin` (the binary version, no pickle) from the data folder.

    Reference: krizhevsky2009learning.
    """

    references: ClassVar = ("krizhevsky2009learning",)
    shape: ClassVar = (3, 32, 32)
    classes: ClassVar = 10
    mean: ClassVar = (0.4914, 0.4822, 0.4465)
    std: ClassVar = (0.2470, 0.2435, 0.2616)
    files: ClassVar = (
        _file(
            "data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"
        ),
        _file(
            "data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"
        ),
        _file(
            "data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"
        ),
        _file(
            "data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"
        ),
        _file(
            "data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"
        ),
        _file("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
    )

    def read(self, folder: Path | None, download: bool) -> Images:
        """Return the data set as published."""
        batches = [
            read_records(read_file(file, folder, download=download), 1, file.path)
            for file in self.files
        ]
        images, labels = zip(*batches, strict=True)
        return Images(torch.cat(images[:5]), torch.cat(labels[:5]), images[5], labels[5])
