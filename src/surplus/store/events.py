"""The event log of a run: one JSON object a line, append-only, each line with its own checksum."""

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, final

from surplus.base import canonical, finite
from surplus.store.files import append, storage_failure


class Event(NamedTuple):
    """One record of a run."""

    number: int
    kind: str
    step: int
    values: dict[str, Any]


class Events(NamedTuple):
    """A log as it was read: the events that count, and what is wrong with the file."""

    events: list[Event]
    damage: list[str]


@final
class EventLog:
    """Appends to a log. Opening it drops a last line that a kill left half-written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as failed:
            raise storage_failure(path, failed) from failed
        os.ftruncate(self._descriptor, path.read_bytes().rfind(b"\n") + 1)
        written, _ = _scan(path)
        self.next = written[-1].number + 1 if written else 0
        """The number of the next event."""
        self.num_intact = next(
            (place for place, event in enumerate(written) if event.number != place), len(written)
        )
        """How many events the log held, from the first on without a gap, when it was opened."""

    def append(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Write one event; numbers that are not finite become null."""
        record = {"n": self.next, "kind": kind, "step": step, "values": finite(dict(values))}
        line = canonical({**record, "crc": _checksum(record)})
        append(self._descriptor, line.encode() + b"\n", self.path)
        self.next += 1

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def read_events(path: Path) -> Events:
    """Read a log; what a resume superseded is dropped, what is damaged is named and left out.

    A `resume` event at step s supersedes every earlier event after step s: the run went back there. What was said of
    damaged files stays.
    """
    written, damage = _scan(path)
    events: list[Event] = []
    for event in written:
        if event.kind == "resume":
            # A kill between the last event and the seal leaves an `end` that was not one.
            events = [
                each
                for each in events
                if each.kind == "damage" or (each.step <= event.step and each.kind != "end")
            ]
        events.append(event)
    return Events(events, damage)


def _scan(path: Path) -> Events:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as unreadable:
        return Events([], [f"{path.name} cannot be read: {unreadable.strerror}"])
    events: list[Event] = []
    damage: list[str] = []
    for place, line in enumerate(lines[:-1], start=1):
        event = _parse(line)
        expected = events[-1].number + 1 if events else 0
        if event is None or event.number < expected:
            damage.append(f"{path.name} line {place} was edited or is incomplete")
            continue
        if event.number > expected and not damage:
            damage.append(f"{path.name} lacks lines before line {place}")
        events.append(event)
    if lines[-1]:
        damage.append(f"{path.name} line {len(lines)} is half-written")
    return Events(events, damage)


def _parse(line: bytes) -> Event | None:
    try:
        record = json.loads(line)
        checksum = record.pop("crc")
        if checksum != _checksum(record):
            return None
        return Event(record["n"], record["kind"], record["step"], record["values"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _checksum(record: dict[str, Any]) -> str:
    return f"{zlib.crc32(canonical(record).encode()):08x}"
