"""A queue of pieces of work in a folder, for several processes that share a disk."""

import contextlib
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple, final

from surplus.base import CorruptFile, RunBusy
from surplus.store.document import read_document, write_document
from surplus.store.files import make_folder
from surplus.store.lock import Lock, is_held

ATTEMPTS = 2  # a piece of work whose worker dies twice is not tried a third time


class Failure(NamedTuple):
    """A piece of work that could not be done."""

    title: str
    message: str


@final
class Taken:
    """A piece of work that this process has taken; it goes back to the queue if the process dies."""

    def __init__(self, path: Path, lock: Lock, title: str, contents: Any) -> None:
        self.name = path.stem
        self.title = title
        self.contents = contents
        self._path = path
        self._lock = lock

    def finish(self) -> None:
        """Say that it is done."""
        self._path.unlink(missing_ok=True)
        self._lock.release()

    def fail(self, message: str) -> None:
        """Say that it cannot be done, and why."""
        failure = {"title": self.title, "message": message}
        write_document(self._path.with_suffix(".failed"), failure)
        self.finish()

    def put_back(self) -> None:
        """Leave it to be done later, by this process or another."""
        self._path.with_suffix(".begun").unlink(missing_ok=True)
        self._lock.release()


@final
class Queue:
    """Pieces of work as files, taken in the order in which they were put; whoever holds a piece's lock does it.

    The system gives back the lock of a process that dies, so nothing is lost with it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def open_in(cls, root: Path, name: str) -> "tuple[Queue, Lock]":
        """Make an empty queue below a store's root, with the lock that says its owner lives.

        Queues whose owners have died are removed.

        Raises:
            StorageFailure: the folder cannot be made.
        """
        for old in sorted((root / "queue").glob("*")):
            if not is_held(old / "owner"):
                shutil.rmtree(old, ignore_errors=True)
        folder = root / "queue" / f"{name}-{os.getpid()}"
        make_folder(folder)
        return cls(folder), Lock(folder / "owner")

    def is_open(self) -> bool:
        """Say whether the owner lives and has not closed the queue."""
        return is_held(self.folder / "owner")

    def close(self) -> None:
        """Tell the workers that no more work will come, and give up what nobody has begun."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another queue is in there, or was made just now
            self.folder.parent.rmdir()

    def put(self, number: int, title: str, contents: Any) -> None:
        """Add a piece of work; `contents` is JSON data.

        Raises:
            StorageFailure: the disk is full or the folder cannot be written.
        """
        write_document(self.folder / f"{number:06d}.json", {"title": title, "contents": contents})

    def take(self, avoid: Collection[str] = ()) -> Taken | None:
        """Return the first piece of work that nobody else does, or None if there is none at this moment.

        Args:
            avoid: Names of pieces to leave alone.
        """
        for path in self._waiting():
            if path.stem in avoid:
                continue
            try:
                lock = Lock(path.with_suffix(".lock"))
            except (RunBusy, OSError):
                continue
            taken = self._taken(path, lock)
            if taken is not None:
                return taken
            lock.release()
        return None

    def num_left(self) -> int:
        """Return how many pieces are neither done nor failed."""
        return len(self._waiting())

    def failures(self) -> list[Failure]:
        """Return the pieces that could not be done, in their order."""
        found = []
        for path in sorted(self.folder.glob("*.failed")):
            contents = read_document(path)
            found.append(Failure(contents["title"], contents["message"]))
        return found

    def doing(self) -> list[str]:
        """Return the titles of what is being done at this moment."""
        titles = []
        for path in self._waiting():
            if is_held(path.with_suffix(".lock")):
                try:
                    titles.append(str(read_document(path)["title"]))
                except CorruptFile:
                    continue  # finished since
        return titles

    def _waiting(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))

    def _taken(self, path: Path, lock: Lock) -> Taken | None:
        """Return the piece if it is still to be done, after counting the attempt."""
        try:
            document = read_document(path)
            begun = path.with_suffix(".begun")
            attempts = int(begun.read_text()) if begun.exists() else 0
            taken = Taken(path, lock, document["title"], document["contents"])
            if attempts < ATTEMPTS:
                begun.write_text(str(attempts + 1))
                return taken
        except (CorruptFile, OSError, ValueError):
            return None  # done, or the queue was closed, since it was listed
        taken.fail(
            f"the process that did it died {attempts} times; perhaps the machine is short of memory"
        )
        return None
