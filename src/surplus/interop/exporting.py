"""Exporting: what every form of export has in common, from the example to the file that was checked."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from surplus.base import InvalidArgument
from surplus.edits import example_for
from surplus.interop.agreement import Inexpressible, NotExported, check_agreement, tensors_in
from surplus.interop.batches import Inputs, batch_of, one_more
from surplus.interop.capturing import captured
from surplus.interop.masked import check_not_masked
from surplus.store.files import check_writable, write_whole
from surplus.units import evaluating, left_as_found, parametrisations, tensors_of


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """A file that was written, and what is known of it."""

    path: Path
    num_bytes: int
    difference: float
    """The largest absolute difference between its outputs and the model's, on the example."""
    batch: int | None
    """The only length of the batch that it takes; None takes any, if there is a batch."""


class File(NamedTuple):
    """The contents of a file, and how to run them."""

    data: bytes
    run: Callable[[Inputs], list[Tensor]]


class _Case(NamedTuple):
    """Inputs, and what the model makes of them."""

    inputs: Inputs
    outputs: Any


class _Made(NamedTuple):
    """A file that was checked."""

    file: File
    difference: float
    batch: int | None
    reason: str
    """Why it takes no other batch."""


Form = Callable[[ExportedProgram, Any], File]
"""Makes a file of a program; the second argument is what the model returns."""


def export_checked(
    path: Path | str,
    model: nn.Module,
    example: Any,
    form: Form,
    *,
    allow_masked: bool,
    any_batch: bool,
) -> Exported:
    """Write a model in some form, if what is written computes what the model computes; else nothing.

    Raises: as `surplus.interop.export_program`.
    """
    path = Path(path)
    _check_exportable(model)
    check_writable(path)
    with torch.no_grad(), evaluating(model):
        case = _case(model, Inputs(*example_for(model, example)))
        if not allow_masked:
            check_not_masked(model, case.inputs.named or case.inputs.positional)
        try:
            made = _made(model, case, form, any_batch)
        except NotExported as failed:
            raise NotExported(f"{failed}{_advice(model)}") from failed
    if any_batch and made.batch is not None:
        warnings.warn(
            f"{path} takes a batch of {made.batch} only, as the example has, since for others it could not be exported:"
            f" {made.reason}",
            stacklevel=3,
        )
    write_whole(path, made.file.data)
    return Exported(
        path=path,
        num_bytes=len(made.file.data),
        difference=made.difference,
        batch=made.batch,
    )


def _made(model: nn.Module, case: _Case, form: Form, any_batch: bool) -> _Made:
    """Return a file for batches of any length, or else for that of the example.

    Raises:
        NotExported: there is no such file.
    """
    reason = ""
    if any_batch:
        try:
            return _for_any_batch(model, case, form)
        except Inexpressible:
            raise
        except NotExported as failed:
            reason = str(failed)
    file = form(captured(model, case.inputs, None), case.outputs)
    difference = check_agreement(case.outputs, file.run(case.inputs))
    return _Made(file, difference, batch_of(case.inputs), reason)


def _advice(model: nn.Module) -> str:
    """Say what may be in the way."""
    return "".join(
        f" `{name}` is parametrised with {which}: torch.nn.utils.parametrize.remove_parametrizations leaves it a plain"
        " weight."
        for name, which in parametrisations(model).items()
    )


def _for_any_batch(model: nn.Module, case: _Case, form: Form) -> _Made:
    """Return a file for batches of any length, which was tried on two.

    Raises:
        NotExported: there is no such file.
    """
    longer = one_more(case.inputs)
    if longer is None:
        raise NotExported("The example has no tensor with a batch.")
    try:
        other = _case(model, longer)
    except InvalidArgument as failed:
        raise NotExported(str(failed)) from failed
    # Traced on the longer one: a length of 1 would be taken for one that never changes.
    file = form(captured(model, longer, batch_of(longer)), other.outputs)
    apart = [check_agreement(each.outputs, file.run(each.inputs)) for each in (other, case)]
    return _Made(file, max(apart), None, "")


def _case(model: nn.Module, inputs: Inputs) -> _Case:
    with left_as_found(model):
        try:
            return _Case(inputs, model(*inputs.positional, **inputs.named))
        except Exception as failed:
            shapes = [str(tuple(each.shape)) for each in tensors_in(inputs)]
            raise InvalidArgument(
                f"The model does not run on inputs of shape {', '.join(shapes)}: {failed}"
            ) from failed


def _check_exportable(model: Any) -> None:
    """Refuse what is no module, or has no values.

    Raises:
        InvalidArgument: so it is.
    """
    if isinstance(model, torch.jit.ScriptModule) or not isinstance(model, nn.Module):
        raise InvalidArgument(
            f"The model is a {type(model).__name__}; an `nn.Module` is needed, whose code can be followed."
        )
    for name, tensor in tensors_of(model).items():
        if tensor.is_meta:
            raise InvalidArgument(
                f"`{name}` is on the meta device and has no values: load some first."
            )
