"""Folders and sizes as the command line speaks of them; free of torch, so that listing runs is quick."""

import os
from pathlib import Path


def runs_folder() -> Path:
    """Return the folder of runs: `$SURPLUS_RUNS`, else `./runs`."""
    return Path(os.environ.get("SURPLUS_RUNS") or "runs")


def readable_bytes(count: int) -> str:
    """Return a number of bytes as people read it.

    Example:
        >>> readable_bytes(512), readable_bytes(1_600_000)
        ('512 B', '1.6 MB')
    """
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
