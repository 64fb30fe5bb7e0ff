"""A worker of the `processes` launcher: takes jobs from a queue until it is closed."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from surplus.base import InvalidArgument, RunBusy, StorageFailure, SurplusError
from surplus.methods import Context
from surplus.store import Failure, Queue, Store, Taken
from surplus.studies.job import Job
from surplus.studies.launchers.processes import FULL_DISK, NO_BEGINNING
from surplus.studies.loading import import_needed
from surplus.training import keep_freed_memory

IDLE_SECONDS = 0.05
PATIENCE_SECONDS = 1.0
STOPPED = 130


def work(order: dict[str, Any]) -> None:
    """Do jobs until the queue is closed or its owner has died."""
    keep_freed_memory()
    try:
        for name, file in order["modules"]:
            import_needed((name, file))
    except InvalidArgument as broken:
        print(f"surplus: {broken}", file=sys.stderr)
        sys.exit(NO_BEGINNING)
    context = Context(
        store=Store(order["runs"]),
        data=None if order["data"] is None else Path(order["data"]),
        download=order["download"],
        device=order["device"],
        threads=order["threads"],
        progress=False,
    )
    queue = Queue(Path(order["queue"]))
    busy: set[str] = set()
    while queue.is_open():
        taken = queue.take(avoid=busy)
        if taken is None:
            time.sleep(PATIENCE_SECONDS if busy else IDLE_SECONDS)
            busy = set()
        elif not _done(taken, context):
            busy.add(taken.name)


def _done(taken: Taken, context: Context) -> bool:
    """Do what was taken; say False if it has to wait for another process."""
    try:
        failed = _attempt(taken, context)
    except RunBusy:
        taken.put_back()
        return False
    except BaseException:
        taken.put_back()
        raise
    if failed is None:
        taken.finish()
    else:
        taken.fail(failed.message)
    return True


def _attempt(taken: Taken, context: Context) -> Failure | None:
    try:
        job = Job.from_json(taken.contents)
    except SurplusError as unknown:
        words = f"{unknown} If it is a member of your own, define it in a file, not in a notebook."
        return Failure(taken.title, words)
    return job.attempt(context)


def end_with_owner() -> None:
    """End this process, as by SIGTERM, when the one that started it is no more: its end of our input closes."""

    def listen() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=listen, daemon=True).start()


if __name__ == "__main__":
    end_with_owner()
    try:
        work(json.loads(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(STOPPED)
    except StorageFailure as full:
        print(f"surplus: {full}", file=sys.stderr)
        sys.exit(FULL_DISK)
