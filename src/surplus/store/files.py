"""Writing to disk: aside and then renamed, through one function, with errors that name the folder and the remedy."""

import errno
import hashlib
import os
from pathlib import Path

from surplus.base import StorageFailure

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def put(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of `data` to an open file. Every byte that the store writes passes through here."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def write_whole(path: Path, data: bytes) -> None:
    """Make `path` hold `data`, or leave it as it was: written aside, forced to disk, renamed.

    Raises:
        StorageFailure: the disk is full or the folder cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            put(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        aside.replace(path)
    except OSError as failed:
        _remove(aside)
        raise storage_failure(path, failed) from failed


def count_up(path: Path) -> int:
    """Add one to a count that is kept as the length of a file, and return it; the file's folder must be there.

    Raises:
        FileNotFoundError: the folder is gone.
        StorageFailure: the disk is full or the folder cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            put(descriptor, b"|")
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except OSError as failed:
        raise storage_failure(path, failed) from failed


def append(descriptor: int, data: bytes, path: Path) -> None:
    """Add `data` to the end of an open file, whole or not at all.

    Raises:
        StorageFailure: the disk is full.
    """
    length = os.lseek(descriptor, 0, os.SEEK_END)
    try:
        put(descriptor, data)
    except OSError as failed:
        os.ftruncate(descriptor, length)
        raise storage_failure(path, failed) from failed


def make_folder(path: Path) -> None:
    """Create a folder and its parents.

    Raises:
        StorageFailure: the folder cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as failed:
        raise storage_failure(path, failed) from failed


def check_writable(path: Path) -> None:
    """Find out early whether a file can be written, without touching what may be there.

    Raises:
        StorageFailure: it is a folder, or its folder cannot be made or written.
    """
    if path.is_dir():
        raise StorageFailure(f"Cannot write to {path}: it is a folder. Name a file.")
    make_folder(path.parent)
    if not os.access(path.parent, os.W_OK):
        raise storage_failure(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def check_folder(path: Path) -> None:
    """Find out early whether a folder can be made and written, without making it.

    Raises:
        StorageFailure: a file is in the way, or the folder it would be made in cannot be written.
    """
    nearest = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not nearest.is_dir():
        raise storage_failure(path, NotADirectoryError(errno.ENOTDIR, f"{nearest} is a file"))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise storage_failure(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def sweep_dead(*folders: Path) -> None:
    """Remove what processes that have died left half-written in folders that several may write to."""
    for folder in folders:
        for aside in folder.glob(".*.part"):
            number = aside.name.split(".")[-2]
            if number.isdecimal() and not _lives(int(number)):
                _remove(aside)


def sweep(*folders: Path) -> None:
    """Remove what a kill left half-written beside its file; only for folders that nobody else writes to."""
    for folder in folders:
        for aside in folder.glob(".*.part"):
            _remove(aside)


def sha256(path: Path) -> str:
    """Return the hash of a file's contents."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def storage_failure(path: Path, failed: OSError) -> StorageFailure:
    """Build the error for a failed write: what failed, what is safe, what to do."""
    if failed.errno in FULL:
        return StorageFailure(
            f"The disk is full: {path} could not be written ({failed.strerror})."
            " What was there before is whole. Free some space and give the same command again to go on."
        )
    return StorageFailure(
        f"Cannot write to {path}: {failed.strerror or failed}."
        " Make the folder writable, or choose another."
    )


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # it is another user's
    return True


def _remove(aside: Path) -> None:
    try:
        aside.unlink(missing_ok=True)
    except OSError:
        pass  # the first error is the one that matters
