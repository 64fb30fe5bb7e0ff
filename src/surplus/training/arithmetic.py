"""The arithmetic of a step as the settings want it: its precision, and whether it is compiled."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from surplus.base import InvalidArgument
from surplus.training.spec import Training


def precision(training: Training, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a forward pass is computed."""
    if training.precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def compiled(
    function: Callable[..., Any], training: Training, device: torch.device
) -> Callable[..., Any]:
    """Return the function, compiled if the settings say so.

    Raises:
        InvalidArgument: that needs a compiler which is not installed.
    """
    backend = training.compile
    if not backend:
        return function
    if backend == "inductor" and device.type == "cpu" and not _compiler():
        raise InvalidArgument(
            '`compile` is "inductor", which needs a C++ compiler, and none is installed.'
            ' Install one (Debian and Ubuntu: "apt-get install g++"; macOS: "xcode-select --install").'
        )
    return torch.compile(function, backend=backend)


def _compiler() -> str | None:
    return shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
