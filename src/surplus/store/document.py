"""Small JSON documents that carry the hash of their contents, so that damage is seen."""

import hashlib
import json
from pathlib import Path
from typing import Any

from surplus.base import CorruptFile, canonical
from surplus.store.files import write_whole

FORMAT = 1


def write_document(path: Path, contents: Any) -> None:
    """Write JSON contents with a format number and their hash."""
    document = {"format": FORMAT, "sha256": _digest(contents), "contents": contents}
    write_whole(path, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())


def read_document(path: Path) -> Any:
    """Return the contents of a document.

    Raises:
        CorruptFile: the file is missing, truncated, edited, or of a later format.
    """
    try:
        document = json.loads(path.read_bytes())
        found, contents, version = document["sha256"], document["contents"], document["format"]
    except FileNotFoundError as missing:
        raise CorruptFile(f"{path} is missing.") from missing
    except (ValueError, KeyError, TypeError, RecursionError) as broken:
        raise CorruptFile(f"{path} is truncated or not a Surplus document.") from broken
    if version != FORMAT:
        raise CorruptFile(f"{path} has format {version}; this version of Surplus reads {FORMAT}.")
    if found != _digest(contents):
        raise CorruptFile(f"{path} was edited: its contents do not match their hash.")
    return contents


def _digest(contents: Any) -> str:
    try:
        return hashlib.sha256(canonical(contents).encode()).hexdigest()
    except ValueError:
        return "not canonical"  # a NaN or lone surrogate that this library never wrote
