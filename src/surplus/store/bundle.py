"""Bundles: named tensors in one safetensors file, with JSON metadata and a hash over everything."""

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors

from surplus.base import CorruptFile, RawTensor, canonical
from surplus.store.files import write_whole

FORMAT = 1


class Bundle(NamedTuple):
    """What a bundle file holds."""

    tensors: dict[str, RawTensor]
    metadata: dict[str, Any]


def write_bundle(path: Path, tensors: Mapping[str, RawTensor], metadata: dict[str, Any]) -> None:
    """Write tensors and JSON metadata as one safetensors file that any reader of that format opens."""
    write_whole(path, pack(tensors, metadata))


def read_bundle(path: Path) -> Bundle:
    """Read a bundle and check its hash.

    Raises:
        CorruptFile: the file is missing, truncated, edited, or no bundle of Surplus.
    """
    try:
        data = path.read_bytes()
    except OSError as unreadable:
        raise CorruptFile(f"{path} cannot be read: {unreadable.strerror}.") from unreadable
    return unpack(data, str(path))


def pack(tensors: Mapping[str, RawTensor], metadata: dict[str, Any]) -> bytes:
    """Lay out a bundle in memory: length, header, and the tensors' bytes in order of their names."""
    header: dict[str, Any] = {}
    offset = 0
    for name, tensor in sorted(tensors.items()):
        end = offset + len(tensor.data)
        header[name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    body = b"".join(tensor.data for _, tensor in sorted(tensors.items()))
    about = canonical({"format": FORMAT, **metadata})
    header["__metadata__"] = {"surplus": about, "sha256": _digest(header, about, body)}
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format wants the tensors' bytes aligned
    return struct.pack("<Q", len(text)) + text + body


def unpack(data: bytes, name: str) -> Bundle:
    """Read a bundle from memory; `name` is what errors call it."""
    try:
        entries = safetensors.deserialize(data)  # type: ignore[no-untyped-call]
        length = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8 : 8 + length])
        about = header.pop("__metadata__")
        text, expected = about["surplus"], about["sha256"]
        metadata = json.loads(text)
        version = metadata.pop("format")
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, AttributeError) as broken:
        raise CorruptFile(f"{name} is truncated, or not a bundle written by Surplus.") from broken
    if version != FORMAT:
        raise CorruptFile(f"{name} has format {version}; this version of Surplus reads {FORMAT}.")
    if _digest(header, text, data[8 + length :]) != expected:
        raise CorruptFile(f"{name} was edited: its contents do not match their hash.")
    tensors = {
        entry: RawTensor(header[entry]["dtype"], tuple(value["shape"]), bytes(value["data"]))
        for entry, value in entries
    }
    return Bundle(tensors, metadata)


def _digest(header: dict[str, Any], about: str, body: bytes) -> str:
    layout = canonical({name: entry for name, entry in header.items() if name != "__metadata__"})
    return hashlib.sha256(layout.encode() + about.encode() + body).hexdigest()
