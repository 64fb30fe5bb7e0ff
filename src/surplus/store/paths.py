"""The files of a run by step, and which of them cannot be read."""

from collections.abc import Callable
from pathlib import Path

from surplus.base import CorruptFile


def step_file(folder: Path, step: int) -> Path:
    """Return where the tensors of a step lie."""
    return folder / f"step-{step:06d}.safetensors"


def by_step(folder: Path) -> dict[int, Path]:
    """Return the files of a folder by their steps, in order."""
    found = {}
    for path in folder.glob("step-*.safetensors"):
        number = path.stem.removeprefix("step-")
        if number.isdecimal():
            found[int(number)] = path
    return dict(sorted(found.items()))


def unreadable(path: Path, read: Callable[[Path], object]) -> list[str]:
    """Return what is wrong with a file, or nothing."""
    try:
        read(path)
    except CorruptFile as damaged:
        return [str(damaged)]
    return []
