"""The context of a piece of work: where runs and data lie, and what to compute on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import torch

from surplus.base import InvalidArgument, Parts, Task
from surplus.store import Store


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Context:
    """Where to work; none of it changes what a result means, all of it is recorded with a run."""

    store: Store = field(default_factory=lambda: Store("runs"))
    """The runs."""
    data: Path | None = None
    """The data folder; None takes `$SURPLUS_DATA`, else the user's cache folder."""
    download: bool = False
    """Whether missing data may be fetched from their publisher."""
    device: str = "cpu"
    """Where to train: "cpu", "cuda", "cuda:1" ...; ablations and cuts are computed on the CPU."""
    threads: int = 1
    """Threads of torch. With one, results do not depend on the number of cores."""
    progress: bool = True
    """Whether to show bars on a terminal."""
    _loaded: dict[Task, Parts] = field(default_factory=dict, repr=False)

    def parts(self, task: Task) -> Parts:
        """Return a task's data, read once.

        Raises:
            DataMissing: a file of the data set is not there, and may not be downloaded or could not be.
            CorruptFile: a file's contents are not the published ones.
            InvalidArgument: the task's options do not fit its data, such as more validation examples than there are.
        """
        if task not in self._loaded:
            self._loaded[task] = task.load(self.data, self.download)
        return self._loaded[task]

    def torch_device(self) -> torch.device:
        """Return the device.

        Raises:
            InvalidArgument: there is no such device here.
        """
        try:
            device = torch.device(self.device)
        except RuntimeError as unknown:
            raise InvalidArgument(f'`device` is "{self.device}"; use "cpu" or "cuda".') from unknown
        if device.type == "cuda" and not torch.cuda.is_available():
            raise InvalidArgument(
                f'`device` is "{self.device}", but torch sees no CUDA device here. Use "cpu".'
            )
        return device

    @contextmanager
    def threaded(self) -> Iterator[None]:
        """Hold torch at this context's number of threads."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
