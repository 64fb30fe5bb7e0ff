"""The IDX format of MNIST and Fashion-MNIST: a big-endian header, then the bytes."""

import math
import struct
from collections.abc import Callable

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from surplus.base import CorruptFile
from surplus.tasks.classification import Images
from surplus.tasks.files import DataFile

IMAGES, LABELS = 0x00000803, 0x00000801
NAMES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def read_images(contents: bytes, name: str) -> UInt8[Tensor, "n 1 height width"]:
    """Decode an IDX file of images.

    Raises:
        CorruptFile: the header is not that of images, or does not fit the length.
    """
    sizes = _header(contents, IMAGES, 3, name)
    return _body(contents, 16).view(sizes[0], 1, sizes[1], sizes[2])


def read_labels(contents: bytes, name: str) -> Int[Tensor, " n"]:
    """Decode an IDX file of labels.

    Raises:
        CorruptFile: the header is not that of labels, or does not fit the length.
    """
    _header(contents, LABELS, 1, name)
    return _body(contents, 8).to(torch.int64)


def read_idx(files: tuple[DataFile, ...], read: Callable[[DataFile], bytes]) -> Images:
    """Decode the four files of a data set in MNIST's layout: train and test images, train and test labels."""
    train, train_labels, test, test_labels = files
    return Images(
        train=read_images(read(train), train.path),
        train_labels=read_labels(read(train_labels), train_labels.path),
        test=read_images(read(test), test.path),
        test_labels=read_labels(read(test_labels), test_labels.path),
    )


def idx_files(folder: str, url: str, *hashes: tuple[str, str]) -> tuple[DataFile, ...]:
    """Return the four files of a data set in MNIST's layout, in the order in which `read_idx` takes them.

    Args:
        folder: Where they lie below the data folder.
        url: What their names follow where they are published.
        hashes: Of each, the SHA-256 of the unpacked contents and the MD5 of the file.
    """
    return tuple(
        DataFile(f"{folder}/{name}", f"sha256:{contents}", url + name, f"md5:{download}")
        for name, (contents, download) in zip(NAMES, hashes, strict=True)
    )


def _header(contents: bytes, magic: int, num_axes: int, name: str) -> tuple[int, ...]:
    length = 4 + 4 * num_axes
    if len(contents) >= length:
        found, *sizes = struct.unpack(f">{1 + num_axes}I", contents[:length])
        if found == magic and len(contents) == length + math.prod(sizes):
            return tuple(sizes)
    raise CorruptFile(
        f"{name} is not an IDX file with magic number {magic:#010x} and a fitting length."
    )


def _body(contents: bytes, offset: int) -> UInt8[Tensor, " n"]:
    return torch.frombuffer(bytearray(contents), dtype=torch.uint8, offset=offset)
