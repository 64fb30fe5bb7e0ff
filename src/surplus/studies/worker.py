"""A worker of the `processes` launcher: takes jobs from a queue until it is closed."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from surplus.base import RunBusy, StorageFailure, SurplusError
from surplus.methods import Context
from surplus.store import Queue, Store, Taken
from surplus.studies.job import Job
from surplus.studies.launchers.processes import FULL_DISK
from surplus.studies.loading import import_file
from surplus.training import keep_freed_memory

IDLE_SECONDS = 0.05
PATIENCE_SECONDS = 1.0
STOPPED = 130


def work(order: dict[str, Any]) -> None:
    """Do jobs until the queue is closed or its owner has died."""
    keep_freed_memory()
    for path in order["files"]:
        import_file(Path(path))
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
        failed = _job(taken).attempt(context)
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


def _job(taken: Taken) -> Job:
    try:
        return Job.from_json(taken.contents)
    except SurplusError as unknown:
        taken.fail(
            f"{unknown} If it is a member of your own, define it in a file, not in a notebook."
        )
        raise


if __name__ == "__main__":
    try:
        work(json.loads(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(STOPPED)
    except StorageFailure as full:
        print(f"surplus: {full}", file=sys.stderr)
        sys.exit(FULL_DISK)
