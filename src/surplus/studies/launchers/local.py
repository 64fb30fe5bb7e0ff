"""The launcher that does everything in this process."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from surplus.base import RunBusy, register
from surplus.methods import Context
from surplus.store import Failure
from surplus.studies.job import Job
from surplus.studies.launcher import Launcher, Watch

PATIENCE_SECONDS = 1.0


@register("local")
@dataclass(frozen=True, kw_only=True, slots=True)
class Local(Launcher):
    """One job after the other, in this process.

    Reference: own; decisions/0021-studies.md.
    """

    def launch(
        self,
        waves: Sequence[Sequence[Job]],
        context: Context,
        modules: Sequence[tuple[str, str | None]],
        watch: Watch,
    ) -> list[Failure]:
        """Do all jobs; see `Launcher.launch`."""
        failures = []
        done = 0
        for wave in waves:
            for job in wave:
                watch(done, job.title)
                failed = _patiently(job, context)
                if failed is not None:
                    failures.append(failed)
                done += 1
        return failures


def _patiently(job: Job, context: Context) -> Failure | None:
    """Do a job; if another process does a part of it, wait for that one."""
    while True:
        try:
            return job.attempt(context)
        except RunBusy:
            time.sleep(PATIENCE_SECONDS)
