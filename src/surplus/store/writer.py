"""The writer of a run: holds its lock and implements `Recorder`."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from surplus.base import CorruptFile, RawTensor, RunExists, Saved
from surplus.store.bundle import read_bundle, write_bundle
from surplus.store.document import read_document, write_document
from surplus.store.events import EventLog
from surplus.store.files import make_folder, sha256, sweep
from surplus.store.lock import Lock
from surplus.store.paths import by_step, step_file, unreadable
from surplus.store.run import Run


@final
class Writer:
    """Writes one run, holding its lock; implements `Recorder`.

    Raises:
        RunExists: the run is sealed.
        RunBusy: another process is writing it.
        StorageFailure: the folder cannot be written.
    """

    def __init__(self, run: Run, spec: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        if run.is_sealed():
            raise RunExists(
                f"{run.path} is finished and is not overwritten. Delete it with"
                f" `surplus runs --delete {run.name}`, or change the spec or the seed."
            )
        make_folder(run.path)
        self.run = run
        self.changed: dict[str, Any] = {}
        """What differs from the environment in which the run was begun."""
        self._released = False
        self._lock = Lock(run.path / "lock")
        try:
            sweep(run.path, run.path / "snapshots", run.path / "checkpoints")
            self._log = EventLog(run.path / "events.jsonl")
            self._saved = self._sound_checkpoints()
            if unreadable(run.path / "spec.json", read_document):
                write_document(run.path / "spec.json", dict(spec))
            self._note_environment(dict(environment))
        except BaseException:
            self._lock.release()
            raise

    def event(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Append one record to the event log."""
        self._log.append(kind, step, values)

    def snapshot(self, step: int, tensors: Mapping[str, RawTensor]) -> None:
        """Keep the weights and masks of the state at `step` for good."""
        self._write_bundle("snapshots", step, tensors)

    def checkpoint(self, step: int, tensors: Mapping[str, RawTensor], *, keep: bool) -> None:
        """Keep all that is needed to go on from `step`.

        The one before it stays too, in case this one is damaged; older ones go unless they were written with `keep`.
        """
        about = {
            "keep": keep,
            "num_events": self._log.next,
            "snapshots": list(self.run.snapshots()),
        }
        self._write_bundle("checkpoints", step, tensors, **about)
        self._saved[step] = keep
        passing = sorted(other for other, kept in self._saved.items() if not kept)
        for old in passing[:-2]:
            step_file(self.run.path / "checkpoints", old).unlink(missing_ok=True)
            del self._saved[old]

    def latest(self) -> Saved | None:
        """Return the newest sound checkpoint, or None for a run that has not begun."""
        if not self._saved:
            return None
        return self.run.checkpoint(max(self._saved))

    def finish(self, state: str, step: int) -> None:
        """Seal the run: its state and the hash of every file; nothing is written afterwards."""
        self._log.append("end", step, {"state": state})
        kept = ["spec.json", "environment.json", "events.jsonl"]
        for folder in ("snapshots", "checkpoints"):
            for path in by_step(self.run.path / folder).values():
                kept.append(f"{folder}/{path.name}")
        manifest = {name: sha256(self.run.path / name) for name in kept}
        contents = {"state": state, "step": step, "files": manifest}
        write_document(self.run.path / "status.json", contents)
        self.release()

    def release(self) -> None:
        """Give the run back; one that was not sealed can be resumed. Releasing twice does nothing."""
        if not self._released:
            self._released = True
            self._log.close()
            self._lock.release()

    def has_events(self) -> bool:
        """Say whether something was written before, in this process or an earlier one."""
        return bool(self.run.events().events)

    def _write_bundle(
        self, folder: str, step: int, tensors: Mapping[str, RawTensor], **about: Any
    ) -> None:
        metadata = {
            "fingerprint": self.run.fingerprint,
            "seed": self.run.seed,
            "step": step,
            **about,
        }
        path = step_file(self.run.path / folder, step)
        write_bundle(path, tensors, metadata)

    def _sound_checkpoints(self) -> dict[int, bool]:
        """Return step -> kept for the checkpoints that can be gone on from; the others are noted and left alone."""
        found = {}
        for step, path in by_step(self.run.path / "checkpoints").items():
            try:
                about = read_bundle(path).metadata
                self._check_history(path, step, about)
                found[step] = bool(about.get("keep"))
            except CorruptFile as damaged:
                self._log.append("damage", step, {"file": path.name, "what": str(damaged)})
        return found

    def _check_history(self, path: Path, step: int, about: Mapping[str, Any]) -> None:
        """Refuse a checkpoint of another run, or one whose earlier record is no longer whole.

        Going on from it would leave a gap in the record; from an older one, or from the beginning, the gap is filled.
        """
        own = (self.run.fingerprint, self.run.seed, step)
        if (about.get("fingerprint"), about.get("seed"), about.get("step")) != own:
            raise CorruptFile(f"{path} belongs to another run or step.")
        if about.get("num_events", 0) > self._log.num_intact:
            raise CorruptFile(f"events.jsonl lacks events from before {path.name} was written.")
        for earlier in about.get("snapshots", []):
            snapshot = step_file(self.run.path / "snapshots", earlier)
            if unreadable(snapshot, read_bundle):
                raise CorruptFile(f"{snapshot.name} is missing or damaged; it is made again.")

    def _note_environment(self, environment: dict[str, Any]) -> None:
        path = self.run.path / "environment.json"
        try:
            first = read_document(path)
        except CorruptFile:
            write_document(path, {**environment, "began": time.strftime("%Y-%m-%dT%H:%M:%S%z")})
            return
        known = {key: value for key, value in environment.items() if key in first}
        self.changed = {key: value for key, value in known.items() if first[key] != value}
        if self.changed:
            step = max(self._saved, default=0)
            self._log.append("environment", step, {"changed": self.changed})
