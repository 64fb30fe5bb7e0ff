"""Capturing: a model as a program of `torch.export`, or an error that names the line which it cannot follow."""

import contextlib
import io
import logging
import os
import sysconfig
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram, ShapesCollection
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

import surplus
from surplus.interop.agreement import NotExported
from surplus.interop.batches import Inputs, batched
from surplus.units import left_as_found

# Ended by a separator: torchvision, which lies beside torch, is what the model is made of.
LIBRARIES = ("<", *(f"{Path(str(each.__file__)).parent}{os.sep}" for each in (torch, surplus)))
STANDARD = sysconfig.get_paths()["stdlib"]
BATCH = "batch"
EXPECTED = (
    # Of torch about itself.
    (r".*isinstance\(treespec, LeafSpec\)", FutureWarning),
    # Recurrent layers and hooks keep tensors that they computed; what is captured is checked by running it.
    (r"The tensor attributes? .* assigned during export", UserWarning),
    # Of a weight that is a part of a larger tensor.
    (r"No complete tensor found in the group", UserWarning),
)
"""Warnings of the exporters about what is no concern of the user's: the beginning of the message, and its class."""
TALKATIVE = ("torch.onnx", "torch.fx.experimental.symbolic_shapes", "onnxscript", "onnx_ir")
"""Loggers that say what they skip, as operators of packages that are not installed."""


def captured(model: nn.Module, inputs: Inputs, batch: int | None) -> ExportedProgram:
    """Return the program of a model.

    Args:
        model: The model; it stays as it was.
        inputs: What it is called with.
        batch: The length of the batch, which may then be any other, too; None leaves every length as it is.

    Raises:
        NotExported: `torch.export` cannot follow the code.
    """
    lengths: Any = ShapesCollection()  # type: ignore[no-untyped-call]
    for tensor in batched(inputs) if batch is not None else ():
        lengths[tensor] = {0: Dim(BATCH, min=1)}
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # which looks at values
    try:
        with left_as_found(model), quietly():
            program = torch.export.export(
                model, inputs.positional, inputs.named, dynamic_shapes=lengths, strict=False
            )
    except Exception as failed:
        raise NotExported(
            f"`torch.export` cannot follow the model: {_reason(failed)}{_place(failed)}."
        ) from failed
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    program.example_inputs = None  # the user's data are not to be written
    return program


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep what exporters say to developers of exporters off the user's terminal; errors are raised all the same."""
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    levels = [each.level for each in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        for message, category in EXPECTED:
            warnings.filterwarnings("ignore", message, category)
        for each in loggers:
            each.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for each, level in zip(loggers, levels, strict=True):
                each.setLevel(level)


def _reason(failed: Exception) -> str:
    text = str(failed).strip()
    if isinstance(failed, GuardOnDataDependentSymNode):
        return "its code decides by the values of tensors"
    if "specialized it to be a constant" in text:
        return (
            "its code makes something of the length of the batch that holds for that length alone"
        )
    return text.splitlines()[0].rstrip(".") if text else type(failed).__name__


def _place(failed: BaseException) -> str:
    """Return the innermost line of the user's code."""
    for frame in reversed(traceback.extract_tb(failed.__traceback__)):
        standard = frame.filename.startswith(STANDARD) and "-packages" not in frame.filename
        if not standard and not frame.filename.startswith(LIBRARIES):
            return f" ({Path(frame.filename).name} line {frame.lineno}: `{frame.line}`)"
    return ""
