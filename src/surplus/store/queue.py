"""A queue of pieces of work in a folder, for several processes that share a disk."""

import contextlib
import os
import shutil
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple, final

from surplus.base import CorruptFile, RunBusy, StorageFailure
from surplus.store.document import read_document, write_document
from surplus.store.files import count_up, make_folder
from surplus.store.lock import Lock, is_held

WAIT_SECONDS, TRIES = 0.01, 200
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
        """Say that it cannot be done, and why; in a queue that is closed there is nobody to tell.

        Raises:
            StorageFailure: the disk is full or the folder cannot be written.
        """
        if self._path.exists():
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
        for old in _listed(root / "queue", ""):
            _remove_if_dead(old)
        folder = root / "queue" / f"{name}-{os.getpid()}"
        for patience in range(TRIES, -1, -1):
            try:
                make_folder(folder)
                owner = Lock(folder / "owner")
            except (
                RunBusy,
                StorageFailure,
            ):  # another process, which takes it for a dead one's, removes it
                if not patience:
                    raise
                time.sleep(WAIT_SECONDS)
                continue
            if owner.is_in_place(folder / "owner"):
                break
            owner.release()
        return cls(folder), owner

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

        Raises:
            StorageFailure: the disk is full or the folder cannot be written.
        """
        for path in self._waiting():
            if path.stem in avoid:
                continue
            try:
                lock = Lock(path.with_suffix(".lock"))
            except RunBusy:
                continue
            except StorageFailure:
                if self.folder.is_dir():
                    raise
                return None  # closed since
            try:
                taken = self._taken(path, lock)
            except BaseException:
                lock.release()
                raise
            if taken is not None:
                return taken
        return None

    def num_left(self) -> int:
        """Return how many pieces are neither done nor failed."""
        return len(self._waiting())

    def failures(self) -> list[Failure]:
        """Return the pieces that could not be done, in their order."""
        found = []
        for path in _listed(self.folder, ".failed"):
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
        return _listed(self.folder, ".json")

    def _taken(self, path: Path, lock: Lock) -> Taken | None:
        """Return the piece if it is still to be done, after counting the attempt; else give the lock back."""
        title, contents, wrong = path.stem, None, ""
        try:
            attempts = count_up(path.with_suffix(".begun"))
            if attempts > ATTEMPTS:
                wrong = f"the process that did it died {ATTEMPTS} times; perhaps the machine is short of memory"
            document = read_document(path)
            title, contents = document["title"], document["contents"]
        except FileNotFoundError:
            lock.release()
            return None
        except CorruptFile as damaged:
            if not path.exists():  # done, or the queue was closed, since it was listed
                lock.release()
                return None
            wrong = str(damaged)
        taken = Taken(path, lock, title, contents)
        if wrong:
            taken.fail(wrong)
            return None
        return taken


def _listed(folder: Path, suffix: str) -> list[Path]:
    """Return the files whose names end in a way, in order; none if the folder is gone, or goes just now."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - `iterdir` and `glob` look later, when it may be gone
    except FileNotFoundError:
        return []
    return [folder / name for name in sorted(names) if name.endswith(suffix) and name[0] != "."]


def _remove_if_dead(folder: Path) -> None:
    """Remove a queue whose owner has died, while nobody can take it over."""
    try:
        lock = Lock(folder / "owner")
    except (RunBusy, StorageFailure):
        return
    try:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.release()
