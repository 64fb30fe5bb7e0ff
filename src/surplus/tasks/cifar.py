"""The CIFAR binary format: label bytes, then the red, green and blue planes, record by record."""

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from surplus.base import CorruptFile

PIXELS = 3 * 32 * 32


def read_records(
    contents: bytes, num_labels: int, name: str
) -> tuple[UInt8[Tensor, "n 3 32 32"], Int[Tensor, " n"]]:
    """Decode a batch file; of several label bytes the last (CIFAR-100's fine label) is taken.

    Raises:
        CorruptFile: the length is not a whole number of records.
    """
    length = num_labels + PIXELS
    if not contents or len(contents) % length:
        raise CorruptFile(
            f"{name} holds {len(contents)} bytes, not a whole number of {length}-byte records."
        )
    records = torch.frombuffer(bytearray(contents), dtype=torch.uint8).view(-1, length)
    images = records[:, num_labels:].reshape(-1, 3, 32, 32)
    return images, records[:, num_labels - 1].to(torch.int64)
