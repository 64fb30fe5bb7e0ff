"""The family of launchers: where the jobs of a study are done."""

from abc import abstractmethod
from collections.abc import Callable, Sequence

from surplus.base import Family
from surplus.methods import Context
from surplus.store import Failure
from surplus.studies.job import Job

WORKER = "SURPLUS_WORKER"
"""The environment variable by which a process knows that it works for a launcher."""
Watch = Callable[[int, str], None]
"""Is told how many jobs are done, and what is being done."""


class Launcher(Family):
    """Does jobs, in waves: a wave begins when the one before is over, since its jobs need what that one made."""

    __slots__ = ()

    @property
    def num_workers(self) -> int:
        """How many jobs are done at a time."""
        return 1

    @abstractmethod
    def launch(
        self,
        waves: Sequence[Sequence[Job]],
        context: Context,
        modules: Sequence[tuple[str, str | None]],
        watch: Watch,
    ) -> list[Failure]:
        """Do all jobs; those that fail do not keep the others from being done.

        Args:
            waves: The jobs.
            context: Where to work.
            modules: Names and files of what other processes have to import first, for members defined there.
            watch: What to tell of the progress.

        Raises:
            InvalidArgument: other processes cannot be started, or cannot import a module.
            StorageFailure: the disk is full or the folder cannot be written.
            KeyboardInterrupt: Ctrl-C was pressed; what was done is kept.
        """
