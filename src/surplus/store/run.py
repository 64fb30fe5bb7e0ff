"""A run's folder, as it is read: spec, environment, events, snapshots, checkpoints, status, derived results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, final

from surplus.base import CorruptFile, Saved, Table, UnknownName
from surplus.store.bundle import Bundle, read_bundle
from surplus.store.derived import Derived, computation_address, read_derived, write_derived
from surplus.store.document import read_document
from surplus.store.events import Event, Events, read_events
from surplus.store.files import sha256
from surplus.store.lock import is_held
from surplus.store.paths import by_step, unreadable

SEALED = ("complete", "diverged")


class Status(NamedTuple):
    """How far a run has come."""

    state: str
    """"running", "interrupted", "complete" or "diverged"."""
    step: int


@final
class Run:
    """One spec executed with one seed in one folder. A sealed run is never edited."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def fingerprint(self) -> str:
        """The address of the spec."""
        return self.path.parent.name

    @property
    def seed(self) -> int:
        """The replica's seed."""
        return int(self.path.name.removeprefix("seed-"))

    @property
    def name(self) -> str:
        """The name that people use: fingerprint and seed."""
        return f"{self.fingerprint}/{self.path.name}"

    def spec(self) -> dict[str, Any]:
        """Return the spec as JSON data.

        Raises:
            CorruptFile: `spec.json` is missing, truncated or edited.
        """
        contents: dict[str, Any] = read_document(self.path / "spec.json")
        return contents

    def made_by(self) -> str | None:
        """Return the method that made the run for its own use, or None for a run that was asked for."""
        try:
            made_by: str | None = self.spec().get("made_by")
        except CorruptFile:
            return None
        return made_by

    def environment(self) -> dict[str, Any]:
        """Return where and with what the run was begun.

        Raises:
            CorruptFile: `environment.json` is missing, truncated or edited.
        """
        contents: dict[str, Any] = read_document(self.path / "environment.json")
        return contents

    def status(self) -> Status:
        """Return the state; a run that is not sealed and that nobody writes is "interrupted".

        Raises:
            CorruptFile: `status.json` is truncated or edited.
        """
        if not (self.path / "status.json").exists():
            state = "running" if is_held(self.path / "lock") else "interrupted"
            return Status(state, self._furthest())
        status = read_document(self.path / "status.json")
        return Status(status["state"], status["step"])

    def is_sealed(self) -> bool:
        """Say whether the run has ended and may not be written any more."""
        try:
            return self.status().state in SEALED
        except CorruptFile:
            return True  # a damaged seal is still a seal: what lies behind it is not overwritten

    def events(self) -> Events:
        """Return the events that count, and any damage to the log."""
        return read_events(self.path / "events.jsonl")

    def series(self, kind: str) -> list[Event]:
        """Return the events of one kind in order of their steps."""
        return [event for event in self.events().events if event.kind == kind]

    def snapshots(self) -> dict[int, Path]:
        """Return the snapshot files by step."""
        return by_step(self.path / "snapshots")

    def snapshot(self, step: int) -> Bundle:
        """Read the snapshot at a step.

        Raises:
            UnknownName: there is no snapshot at that step.
            CorruptFile: the file is truncated or edited.
        """
        found = self.snapshots()
        if step not in found:
            steps = ", ".join(map(str, found)) or "none"
            raise UnknownName(f"{self.name} has no snapshot at step {step}. It has: {steps}.")
        return read_bundle(found[step])

    def checkpoint(self, step: int) -> Saved:
        """Read the checkpoint at a step, from which training can go on or fork.

        Raises:
            UnknownName: there is no checkpoint at that step.
            CorruptFile: the file is truncated or edited.
        """
        found = by_step(self.path / "checkpoints")
        if step not in found:
            steps = ", ".join(map(str, found)) or "none"
            raise UnknownName(
                f"{self.name} keeps no checkpoint at step {step}, so nothing can fork from there."
                f" It has: {steps}. Name the step in `Training.forks` before training."
            )
        return Saved(step, read_bundle(found[step]).tensors)

    def problems(self) -> list[str]:
        """Name every file of the run that is missing, half-written, truncated or edited."""
        found = list(self.events().damage)
        found += unreadable(self.path / "spec.json", read_document)
        found += unreadable(self.path / "environment.json", read_document)
        for folder in ("snapshots", "checkpoints"):
            for path in by_step(self.path / folder).values():
                found += unreadable(path, read_bundle)
        if (self.path / "status.json").exists():
            found += unreadable(self.path / "status.json", read_document) or self._unsealed()
        for path in _folders(self.path / "derived"):
            found += unreadable(path, read_derived)
        return found

    def derive(
        self,
        kind: str,
        settings: Mapping[str, Any],
        steps: list[int],
        values: Mapping[str, Any],
        tables: Mapping[str, Table],
    ) -> Path:
        """Write the results of a computation on snapshots beside the run; see `write_derived`."""
        return write_derived(
            self.path / "derived", kind, settings, self._hashes(steps), values, tables
        )

    def derived(self, kind: str) -> list[Derived]:
        """Return the computations of one kind that are sound, oldest first."""
        found = []
        for path in _folders(self.path / "derived"):
            try:
                computation = read_derived(path)
            except CorruptFile:
                continue  # `problems` names it
            if computation.kind == kind:
                found.append(computation)
        return sorted(found, key=lambda each: each.path.stat().st_mtime_ns)

    def current(self, kind: str) -> list[Derived]:
        """Return the computations of one kind that read the newest snapshot as it is now, oldest first."""
        newest = self._hashes(list(self.snapshots())[-1:]).items()
        return [each for each in self.derived(kind) if newest <= each.snapshots.items()]

    def find_derived(
        self, kind: str, settings: Mapping[str, Any], steps: list[int]
    ) -> Derived | None:
        """Return the results of one computation if they are there and sound."""
        path = self.path / "derived" / computation_address(kind, settings, self._hashes(steps))
        try:
            return read_derived(path)
        except CorruptFile:
            return None

    def num_bytes(self) -> int:
        """Return how much disk the run takes."""
        return sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file())

    def _hashes(self, steps: list[int]) -> dict[str, str]:
        found = self.snapshots()
        return {found[step].name: sha256(found[step]) for step in steps}

    def _furthest(self) -> int:
        steps = [*by_step(self.path / "checkpoints"), *self.snapshots()]
        return max(steps, default=0)

    def _unsealed(self) -> list[str]:
        manifest = read_document(self.path / "status.json")["files"]
        found = []
        for name, expected in manifest.items():
            file = self.path / name
            if not file.is_file():
                found.append(f"{name} is missing")
            elif sha256(file) != expected:
                found.append(f"{name} was edited or truncated after the run was sealed")
        return found


def _folders(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.glob("*") if path.is_dir() and not path.name.startswith(".")
    )
