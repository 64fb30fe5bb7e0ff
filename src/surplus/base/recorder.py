"""What a run writes to: a protocol, so that training and storage do not know each other."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, final, runtime_checkable


class RawTensor(NamedTuple):
    """A tensor on its way to or from a disk: no framework, only bytes."""

    dtype: str
    """The safetensors name of the type: "F32", "F64", "BF16", "I64", "U8", "BOOL" ..."""
    shape: tuple[int, ...]
    data: bytes
    """The values in row-major order, little-endian."""


class Saved(NamedTuple):
    """A checkpoint as it was read back."""

    step: int
    tensors: dict[str, RawTensor]


@runtime_checkable
class Recorder(Protocol):
    """Takes what a run has to say, in order, and gives back where it stopped."""

    def event(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Append one record to the event log."""
        ...

    def snapshot(self, step: int, tensors: Mapping[str, RawTensor]) -> None:
        """Keep the weights and masks of the state at `step` for good."""
        ...

    def checkpoint(self, step: int, tensors: Mapping[str, RawTensor], *, keep: bool) -> None:
        """Keep all that is needed to go on from `step`; replaces the one before unless that was kept."""
        ...

    def latest(self) -> Saved | None:
        """Return the newest sound checkpoint, or None for a run that has not begun."""
        ...

    def finish(self, state: str, step: int) -> None:
        """Seal the run as "complete" or "diverged"; nothing may be written afterwards."""
        ...


@final
class Nowhere:
    """A recorder that forgets everything, for runs whose result is the returned model."""

    def event(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        """Forget the event."""

    def snapshot(self, step: int, tensors: Mapping[str, RawTensor]) -> None:
        """Forget the snapshot."""

    def checkpoint(self, step: int, tensors: Mapping[str, RawTensor], *, keep: bool) -> None:
        """Forget the checkpoint."""

    def latest(self) -> Saved | None:
        """Return None: there is nothing to go on from."""
        return None

    def finish(self, state: str, step: int) -> None:
        """Forget that the run has ended."""
