"""The family of methods: procedures on a run, whose results are kept beside it."""

from abc import abstractmethod
from typing import final

from surplus.base import Family, encode
from surplus.methods.context import Context
from surplus.methods.results import Results
from surplus.store import Derived, Run


class Method(Family):
    """A procedure that reads a run's snapshots and writes tables beside it; the run itself is not touched."""

    __slots__ = ()

    @abstractmethod
    def compute(self, run: Run, context: Context) -> Results:
        """Return the results of the procedure on a run."""

    @final
    def apply(self, run: Run, context: Context | None = None) -> Derived:
        """Return the results on a run: those kept beside it if it was done before, else computed and kept.

        Raises:
            CorruptFile: a file of the run is truncated or edited.
            StorageFailure: the results cannot be written.
        """
        context = context or Context()
        known = self.known(run)
        if known is not None:
            return known
        with context.threaded():
            results = self.compute(run, context)
        run.derive(self.kind, encode(self), self.steps(run), results.values, results.tables)
        found = self.known(run)
        assert found is not None
        return found

    @final
    def known(self, run: Run) -> Derived | None:
        """Return the results on a run if they are kept beside it, sound, and of its snapshots as they are now."""
        return run.find_derived(self.kind, encode(self), self.steps(run))

    def steps(self, run: Run) -> list[int]:
        """Return the snapshots that the procedure reads: the last one, unless a member says otherwise."""
        return sorted(run.snapshots())[-1:]
