"""The launcher that spreads jobs over processes of this machine."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from surplus.base import InvalidArgument, StorageFailure, SurplusError, register
from surplus.methods import Context
from surplus.store import Failure, Queue
from surplus.studies.job import Job
from surplus.studies.launcher import WORKER, Launcher, Watch
from surplus.training.interrupts import Interrupts

POLL_SECONDS = 0.1
# One thread each: two processes of one thread do more of such work than one process of two, and give the same bits.
SINGLE = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
FULL_DISK = 3  # the exit status by which a worker says that the disk is full
NO_BEGINNING = 4  # ... and that it could not import what it needs
PATIENCE = (
    4  # deaths for each worker; a job that kills its workers costs two, and then counts as failed
)


@register("processes")
@dataclass(frozen=True, kw_only=True, slots=True)
class Processes(Launcher):
    """A fixed number of fresh processes with one thread each, which take jobs from a queue in the store.

    A worker that dies is replaced, and its job is tried once more. Workers end by themselves if this process dies; what
    they were doing goes on from its last checkpoint next time.

    Reference: own; decisions/0021-studies.md.
    """

    workers: int | None = None
    """How many; None takes the number of cores."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise InvalidArgument(f"`workers` is {self.workers}; it must be at least 1.")

    @property
    def num_workers(self) -> int:
        """How many jobs are done at a time."""
        return self.workers or num_cores()

    def launch(
        self,
        waves: Sequence[Sequence[Job]],
        context: Context,
        modules: Sequence[tuple[str, str | None]],
        watch: Watch,
    ) -> list[Failure]:
        """Do all jobs; see `Launcher.launch`."""
        queue, owner = Queue.open_in(context.store.root, "study")
        team = _Team(queue, context, modules)
        done = 0
        try:
            with Interrupts() as interrupts:
                for wave in waves:
                    for place, job in enumerate(wave):
                        queue.put(done + place, job.title, job.to_json())
                    while left := queue.num_left():
                        team.keep_up(min(self.num_workers, left), left)
                        watch(done + len(wave) - left, ", ".join(queue.doing()))
                        if interrupts.asked is not None:
                            raise KeyboardInterrupt
                        time.sleep(POLL_SECONDS)
                    done += len(wave)
            return queue.failures()
        except BaseException:
            team.stop()
            raise
        finally:
            queue.close()
            team.wait()
            owner.release()


def num_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@final
class _Team:
    """The worker processes."""

    def __init__(
        self, queue: Queue, context: Context, modules: Sequence[tuple[str, str | None]]
    ) -> None:
        self._order = {
            "queue": str(queue.folder),
            "runs": str(context.store.root),
            "data": None if context.data is None else str(context.data),
            "download": context.download,
            "device": context.device,
            "threads": context.threads,
            "modules": [list(each) for each in modules],
        }
        self._members: list[subprocess.Popen[bytes]] = []
        self._left: int | None = None
        self._deaths = 0

    def keep_up(self, num: int, left: int) -> None:
        """Replace workers that have ended, up to a number.

        Args:
            num: How many there should be.
            left: How many jobs are left, by which workers that die one after the other without doing any are noticed.

        Raises:
            InvalidArgument: a worker could not import a module.
            StorageFailure: a worker found the disk full.
            SurplusError: workers keep dying.
        """
        if left != self._left:
            self._left, self._deaths = left, 0
        ended = [each for each in self._members if each.poll() is not None]
        self._members = [each for each in self._members if each not in ended]
        for each in ended:
            _close(each)
            self._explain(each.wait())
        self._deaths += len(ended)
        if self._deaths > PATIENCE * num:
            raise SurplusError(
                f"{self._deaths} workers died one after the other without doing anything; what they said stands above."
                " What was done is kept."
            )
        while len(self._members) < num:
            self._members.append(self._spawn())

    def _explain(self, status: int) -> None:
        """Raise what a worker's exit status says."""
        if status == FULL_DISK:
            raise StorageFailure(
                f"A worker could not write below {self._order['runs']}; its message stands above. Free some space:"
                " the same command goes on from there."
            )
        if status == NO_BEGINNING:
            raise InvalidArgument("A worker could not begin; its message stands above.")

    def stop(self) -> None:
        """Ask the workers to keep what they have done and to end."""
        for each in self._members:
            if each.poll() is None:
                each.terminate()

    def wait(self) -> None:
        """Wait until all have ended."""
        for each in self._members:
            each.wait()
            _close(each)

    def _spawn(self) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C reaches this process alone, which passes it on once.
        return subprocess.Popen(
            [sys.executable, "-m", "surplus.studies.worker", json.dumps(self._order)],
            env={
                **os.environ,
                **SINGLE,
                WORKER: "1",
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            },
            stdin=subprocess.PIPE,  # nothing is written: it closes when this process dies, and so the worker knows
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )


def _close(worker: "subprocess.Popen[bytes]") -> None:
    assert worker.stdin is not None
    worker.stdin.close()
