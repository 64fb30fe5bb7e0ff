"""A lock that keeps two writers off one run; the system releases it when its holder dies."""

import fcntl
import os
from pathlib import Path
from typing import final

from surplus.base import RunBusy
from surplus.store.files import storage_failure


@final
class Lock:
    """An exclusive lock on a file, held until `release` or until the process ends."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as failed:
            raise storage_failure(path, failed) from failed
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            os.close(self._descriptor)
            raise RunBusy(
                f"Another process is writing {path.parent} at this moment; wait for it, or stop it."
            ) from held

    def release(self) -> None:
        """Give the lock back."""
        os.close(self._descriptor)

    def is_in_place(self, path: Path) -> bool:
        """Say whether the file at a path is the one that is locked, and not one that took its place."""
        try:
            there = path.stat()
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._descriptor))


def is_held(path: Path) -> bool:
    """Say whether some process holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
