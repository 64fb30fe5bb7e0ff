"""`export_program`: a model as a program of `torch.export`, in one file."""

import io
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import GraphModule

from surplus.interop.agreement import NotExported, tensors_in
from surplus.interop.batches import Inputs
from surplus.interop.capturing import quietly
from surplus.interop.exporting import Exported, File, export_checked


def export_program(
    path: Path | str,
    model: nn.Module,
    example: Any,
    allow_masked: bool = False,
    any_batch: bool = True,
) -> Exported:
    """Write a model as a program that `torch.export.load` opens without its code, and check it by loading and running.

    The file appears whole or not at all, and only if its outputs are the model's, in evaluation mode. The first axis of
    the first tensor is taken to be the batch, and with it that of every other that is as long. The model stays as it
    was, in its mode.

    Args:
        path: The file; the usual ending is .pt2.
        model: Any module.
        example: What it is called with: a tensor, a tuple of arguments, or a dictionary of keyword arguments.
        allow_masked: Export a model whose removed units are still there as zeros, too.
        any_batch: Let the batch have any length where that can be, and warn where not; False holds the example's.

    Raises:
        InvalidArgument: the model does not run on the example, or is masked and not cut.
        NotExported: its code cannot be followed, or what was exported computes something else.
        StorageFailure: the disk is full or the folder cannot be written.
    """
    return export_checked(
        path, model, example, _file, allow_masked=allow_masked, any_batch=any_batch
    )


def _file(program: ExportedProgram, outputs: Any) -> File:
    for module in program.graph_module.modules():
        if isinstance(module, GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)  # where the code lay on this machine
    buffer = io.BytesIO()
    try:
        with quietly():
            torch.export.save(program, buffer)
    except Exception as failed:
        raise NotExported(f"`torch.export` cannot save the model: {failed}") from failed
    data = buffer.getvalue()
    return File(data, partial(_run, data))


def _run(data: bytes, inputs: Inputs) -> list[Tensor]:
    """Load a program anew, since one that ran may have changed its state, and run it."""
    try:
        with quietly():
            program = torch.export.load(io.BytesIO(data)).module()
        return tensors_in(program(*inputs.positional, **inputs.named))
    except Exception as failed:
        raise NotExported(f"The exported program does not run: {failed}") from failed
