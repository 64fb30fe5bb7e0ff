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
        settings = encode(self)
        steps = self.steps(run)
        known = run.find_derived(self.kind, settings, steps)
        if known is not None:
            return known
        with context.threaded():
            results = self.compute(run, context)
        run.derive(self.kind, settings, steps, results.values, results.tables)
        found = run.find_derived(self.kind, settings, steps)
        assert found is not None
        return found

    def steps(self, run: Run) -> list[int]:
        """Return the snapshots that the procedure reads: the last one, unless a member says otherwise."""
        return sorted(run.snapshots())[-1:]
