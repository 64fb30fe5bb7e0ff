"""Calling: where in the user's code an operator runs, as the stack shows it."""

import sys
from pathlib import Path
from types import FrameType

import jaxtyping
import torch

TORCH = str(Path(torch.__file__).parent)
ROOMS = ("cli", "edits", "interop", "masks", "methods", "passes", "scores", "training", "units")
HERE = tuple(f"{Path(__file__).parents[1]}/{room}/" for room in ROOMS)
"""Where this package runs models; its own networks are like a user's."""
CHECKING = str(Path(jaxtyping.__file__).parent)
GENERATED = "<"
"""What the names of code begin with that stands in no file."""
PASSED = (
    *HERE,
    GENERATED,
    CHECKING,
    *(
        f"{TORCH}/{each}"
        for each in (
            "overrides.py",
            "functional.py",
            "_tensor.py",
            "nn/functional.py",
            "_compile",
            "_dynamo",
            "utils",
        )
    ),
)
"""Code through which calls of the user's pass on their way to an operator."""


def called_by_torch() -> bool:
    """Say whether the function of torch that runs now was called by a module of torch, not by the user's code."""
    frame = _innermost(PASSED)
    return frame is not None and frame.f_code.co_filename.startswith(TORCH)


def source_line() -> str:
    """Say which line of the user's code runs now: the innermost one outside of torch and this package."""
    frame = _innermost((TORCH, *HERE, CHECKING, GENERATED))
    if frame is None:
        return ""
    return f", {Path(frame.f_code.co_filename).name} line {frame.f_lineno}"


def _innermost(passed: tuple[str, ...]) -> FrameType | None:
    """Return the innermost call of code whose file does not begin with one of some paths."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(passed):
        frame = frame.f_back
    return frame
