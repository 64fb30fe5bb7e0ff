"""The launcher that spreads jobs over processes of this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from surplus.base import InvalidArgument, StorageFailure, register
from surplus.methods import Context
from surplus.store import Failure, Queue
from surplus.studies.job import Job
from surplus.studies.launcher import Launcher, Watch
from surplus.training.interrupts import Interrupts

POLL_SECONDS = 0.1
# One thread each: two processes of one thread do more of such work than one process of two, and give the same bits.
SINGLE = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
FULL_DISK = 3  # the exit status by which a worker says that the disk is full


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
        return self.workers or len(os.sched_getaffinity(0))

    def launch(
        self, waves: Sequence[Sequence[Job]], context: Context, files: Sequence[str], watch: Watch
    ) -> list[Failure]:
        """Do all jobs; see `Launcher.launch`."""
        queue, owner = Queue.open_in(context.store.root, "study")
        team = _Team(queue, context, files)
        done = 0
        try:
            with Interrupts() as interrupts:
                for wave in waves:
                    for place, job in enumerate(wave):
                        queue.put(done + place, job.title, job.to_json())
                    while left := queue.num_left():
                        team.keep_up(min(self.num_workers, left))
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


class _Team:
    """The worker processes."""

    def __init__(self, queue: Queue, context: Context, files: Sequence[str]) -> None:
        self._order = {
            "queue": str(queue.folder),
            "runs": str(context.store.root),
            "data": None if context.data is None else str(context.data),
            "download": context.download,
            "device": context.device,
            "threads": context.threads,
            "files": list(files),
        }
        self._members: list[subprocess.Popen[bytes]] = []

    def keep_up(self, num: int) -> None:
        """Replace workers that have ended, up to a number.

        Raises:
            StorageFailure: a worker found the disk full.
        """
        for each in self._members:
            if each.poll() == FULL_DISK:
                raise StorageFailure(
                    f"A worker could not write below {self._order['runs']}; its message stands above. Free some space:"
                    " the same command goes on from there."
                )
        self._members = [each for each in self._members if each.poll() is None]
        while len(self._members) < num:
            self._members.append(self._spawn())

    def stop(self) -> None:
        """Ask the workers to keep what they have done and to end."""
        for each in self._members:
            if each.poll() is None:
                each.send_signal(signal.SIGINT)

    def wait(self) -> None:
        """Wait until all have ended."""
        for each in self._members:
            each.wait()

    def _spawn(self) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C reaches this process alone, which passes it on once.
        return subprocess.Popen(
            [sys.executable, "-m", "surplus.studies.worker", json.dumps(self._order)],
            env={**os.environ, **SINGLE, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
