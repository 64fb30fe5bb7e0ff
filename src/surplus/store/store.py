"""The store: all runs below one folder, found by address, name or prefix."""

import re
import shutil
from pathlib import Path
from typing import final

from surplus.base import RunBusy, UnknownName
from surplus.store.files import storage_failure
from surplus.store.index import Summary, rebuild, refresh
from surplus.store.lock import is_held
from surplus.store.run import Run

ADDRESS = re.compile(r"[0-9a-f]{16}")
SEED = re.compile(r"seed-\d{4,}")


@final
class Store:
    """Runs in `<root>/<fingerprint>/seed-0003/`. The folders are the truth; the index is derived from them."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

    def run(self, fingerprint: str, seed: int) -> Run:
        """Return the run at an address, whether or not it has begun."""
        return Run(self.root / fingerprint / f"seed-{seed:04d}")

    def runs(self) -> list[Run]:
        """Return every run in the folder, in order of address and seed."""
        return [
            Run(path)
            for path in sorted(self.root.glob("*/seed-*"))
            if path.is_dir() and _is_address(path)
        ]

    def summaries(self) -> list[Summary]:
        """Return a line about every run, from the index where it is up to date."""
        return refresh(self.root, self.runs()) if self.root.is_dir() else []

    def rebuild(self) -> list[Summary]:
        """Make the index again from the folders."""
        return rebuild(self.root, self.runs()) if self.root.is_dir() else []

    def find(self, reference: str) -> Run:
        """Return the run that a reference means.

        Args:
            reference: The folder of a run; or the start of a fingerprint, with `/seed` where there are several
                replicas ("3f2a", "3f2a/2", "3f2a/seed-0002"); or "last" for the run written last that holds a
                snapshot and was asked for by a person, not made by a method.

        Raises:
            UnknownName: no run, or more than one, answers to it; or the folder is not named like a run.
        """
        folder = Path(reference)
        if (folder / "spec.json").is_file():
            return _in_folder(folder)
        runs = self.runs()
        if not runs:
            raise UnknownName(
                f"There are no runs in {self.root}. Train one with `surplus train`,"
                " or name another folder with `--runs`."
            )
        if reference == "last":
            newest = sorted(runs, key=_last_written, reverse=True)
            return next((run for run in newest if _can_be_last(run)), newest[0])
        prefix, _, seed = reference.partition("/")
        number = seed.removeprefix("seed-")
        matching = [
            run
            for run in runs
            if run.fingerprint.startswith(prefix)
            and (not seed or (number.isdecimal() and run.seed == int(number)))
        ]
        if len(matching) == 1:
            return matching[0]
        listed = ", ".join(run.name for run in (matching or runs)[:8])
        if matching:
            raise UnknownName(
                f"`{reference}` means {len(matching)} runs: {listed}. Name one of them."
            )
        raise UnknownName(f"There is no run `{reference}` in {self.root}. It has: {listed}.")

    def delete(self, run: Run) -> None:
        """Remove a run's folder for good.

        Raises:
            RunBusy: a process is writing it.
            StorageFailure: the folder cannot be removed.
        """
        if is_held(run.path / "lock"):
            raise RunBusy(f"{run.path} is being written at this moment; stop that process first.")
        try:
            shutil.rmtree(run.path)
            if not any(run.path.parent.iterdir()):
                run.path.parent.rmdir()
        except OSError as failed:
            raise storage_failure(run.path, failed) from failed


def _is_address(path: Path) -> bool:
    return bool(ADDRESS.fullmatch(path.parent.name) and SEED.fullmatch(path.name))


def _in_folder(folder: Path) -> Run:
    """Return the run in a folder; its name is its address, so a folder of another name holds something else."""
    folder = folder.resolve()
    if not _is_address(folder):
        raise UnknownName(
            f"{folder} holds a `spec.json` but is not named like a run's folder, <fingerprint>/seed-0000."
            " If it is a copy of a run, give it back its name."
        )
    return Run(folder)


def _last_written(run: Run) -> int:
    log = run.path / "events.jsonl"
    return log.stat().st_mtime_ns if log.exists() else 0


def _can_be_last(run: Run) -> bool:
    return bool(run.snapshots()) and run.made_by() is None
