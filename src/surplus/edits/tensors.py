"""Tensors on their way to and from the store: bytes with a type and a shape."""

import torch
from torch import Tensor

from surplus.base import RawTensor

NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
TYPES = {name: dtype for dtype, name in NAMES.items()}


def to_raw(tensor: Tensor) -> RawTensor:
    """Return a tensor's values as bytes."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return RawTensor(
        NAMES[flat.dtype], tuple(tensor.shape), flat.view(torch.uint8).numpy().tobytes()
    )


def from_raw(raw: RawTensor) -> Tensor:
    """Return the tensor that the bytes hold."""
    dtype = TYPES[raw.dtype]
    if not raw.data:
        return torch.empty(raw.shape, dtype=dtype)
    return torch.frombuffer(bytearray(raw.data), dtype=dtype).view(raw.shape)
