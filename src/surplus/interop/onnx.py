"""`export_onnx`: a model as ONNX, in one file."""

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, TensorArgument
from torch.utils._pytree import tree_flatten_with_path, tree_leaves

from surplus.base import InvalidArgument
from surplus.interop.agreement import Inexpressible, NotExported
from surplus.interop.capturing import BATCH, quietly
from surplus.interop.exporting import Exported, File, export_checked
from surplus.interop.onnx_session import OnnxSession
from surplus.units import copied, tensors_of

LARGEST = 2**31
"""The bytes that one file of ONNX holds at most."""
OPERATOR = re.compile(r"target=torch\.ops\.([\w.]+?)(?:\.default)?\]")
"""Where torch's errors name the operator."""
FEW = {torch.float64, torch.bfloat16}
"""Types for which onnxruntime has few operators."""


def export_onnx(
    path: Path | str,
    model: nn.Module,
    example: Any,
    allow_masked: bool = False,
    any_batch: bool = True,
) -> Exported:
    """Write a model as ONNX (extra `onnx`), and check it by running it in onnxruntime.

    Inputs are named as the arguments of `forward`, outputs as the keys of what it returns, or output_0, output_1 ...;
    parameters keep their names. The rest is as in `export_program`.

    Args:
        path: The file; the usual ending is .onnx.
        model: Any module.
        example: What it is called with: a tensor, a tuple of arguments, or a dictionary of keyword arguments.
        allow_masked: Export a model whose removed units are still there as zeros, too.
        any_batch: Let the batch have any length where that can be, and warn where not; False holds the example's.

    Raises:
        InvalidArgument: onnx is not installed; the model does not run on the example, is masked and not cut, or is
            larger than a file of ONNX.
        NotExported: its code cannot be followed, ONNX lacks an operator that it uses, or what was exported computes
            something else.
        StorageFailure: the disk is full or the folder cannot be written.
    """
    check_installed()
    if isinstance(model, nn.Module):
        _check_size(model)
        if any(each.device.type not in ("cpu", "meta") for each in tensors_of(model).values()):
            model = copied(model).cpu()
    return export_checked(
        path, model, example, _file, allow_masked=allow_masked, any_batch=any_batch
    )


def check_installed() -> None:
    """Refuse to begin where a package is missing.

    Raises:
        InvalidArgument: it is.
    """
    try:
        for name in ("onnx", "onnxruntime", "onnxscript"):
            importlib.import_module(name)
    except (ImportError, RuntimeError) as missing:
        raise InvalidArgument(
            f"Exporting to ONNX needs more packages ({missing}): pip install 'surplus[onnx]'."
        ) from missing


def _check_size(model: nn.Module) -> None:
    tensors = {id(each): each for each in tensors_of(model).values()}.values()
    size = sum(each.numel() * each.element_size() for each in tensors)
    if size >= LARGEST:
        raise InvalidArgument(
            f"The model's tensors take {size / 1e9:.1f} GB, and a file of ONNX holds {LARGEST / 1e9:.1f} GB: export"
            " `model.half()`, or a program of torch.export (.pt2), which has no such limit."
        )


def _file(program: ExportedProgram, outputs: Any) -> File:
    import onnx

    names = _output_names(outputs)
    try:
        with quietly():
            converted = torch.onnx.export(program, dynamo=True, verbose=False)
    except Exception as failed:
        raise _explained(failed) from failed
    assert converted is not None
    _name_(converted.model.graph, _input_names(program), names)
    _clear_(converted.model.graph)
    proto = converted.model_proto
    _name_batch_(proto.graph)
    data: bytes = proto.SerializeToString()
    try:
        onnx.checker.check_model(data, full_check=True)
    except Exception as failed:
        raise NotExported(f"What torch exported is not valid ONNX: {failed}") from failed
    few = {each.dtype for each in program.state_dict.values()} & FEW
    return File(data, OnnxSession(data, "".join(map(_advice, few))).run)


def _advice(dtype: torch.dtype) -> str:
    return f" It has few operators for {str(dtype).removeprefix('torch.')}: export `model.float()`."


def _explained(failed: BaseException) -> NotExported:
    """Name the operator that torch's exporter could not translate."""
    chain = [failed]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    named = OPERATOR.search(" ".join(map(str, chain)))
    operator = f"the operator `{named[1]}`" if named else "the model"
    if "No ONNX function found" in str(chain[-1]):
        return Inexpressible(
            f"ONNX has nothing for {operator}, which the model runs. A program of `torch.export` (.pt2) has no such"
            " limit."
        )
    lines = str(chain[-1]).strip().splitlines() or [type(chain[-1]).__name__]
    return NotExported(f"torch cannot write {operator} as ONNX: {lines[0]}")


def _input_names(program: ExportedProgram) -> list[str]:
    """Return the names of the inputs that are tensors; what else a model is called with is fixed by the export."""
    return [
        each.arg.name
        for each in program.graph_signature.input_specs
        if each.kind == InputKind.USER_INPUT and isinstance(each.arg, TensorArgument)
    ]


def _output_names(outputs: Any) -> list[str]:
    """Return a name for each tensor among a model's outputs: its keys, or its places.

    Raises:
        Inexpressible: there are outputs that are no tensors.

    Example:
        >>> one = torch.zeros(1)
        >>> _output_names({"boxes": one, "maps": [one, one]}), _output_names((one, None)), _output_names(one)
        (['boxes', 'maps_0', 'maps_1'], ['output_0'], ['output'])
    """
    names = []
    for path, each in _with_paths(dict(outputs) if isinstance(outputs, Mapping) else outputs):
        if each is None:
            continue
        if not isinstance(each, Tensor):
            raise Inexpressible(
                f"The model returns a {type(each).__name__} ({each!r}) among its outputs; ONNX holds tensors alone."
            )
        keys = [re.sub(r"\W", "", str(key)) for key in path]
        names.append("_".join(keys if keys and not keys[0].isdigit() else ["output", *keys]))
    return names


def _with_paths(outputs: Any) -> list[tuple[tuple[Any, ...], Any]]:
    """Return what a model returns, each leaf with the keys that lead to it; a class that has none counts its leaves."""
    try:
        return [(tuple(path), each) for path, each in tree_flatten_with_path(outputs)[0]]
    except ValueError:
        return [((place,), each) for place, each in enumerate(tree_leaves(outputs))]


def _name_(graph: Any, inputs: list[str], outputs: list[str]) -> None:
    """In place: give the inputs and outputs of a graph their names; those of outputs must not be there already."""
    taken = {value.name for node in graph.all_nodes() for value in node.outputs}
    taken |= {*inputs, *graph.initializers}
    for value, wanted in zip(graph.outputs, outputs, strict=True):
        name = wanted
        while name in taken:
            name = f"output_{name}"
        taken.add(name)
        value.name = name
    for value, name in zip(graph.inputs, inputs, strict=True):
        value.name = name


def _clear_(graph: Any) -> None:
    """In place: take out what torch notes of the code that was exported, and where it lay on this machine."""
    graph.metadata_props.clear()
    nodes = list(graph.all_nodes())
    values = [*graph.inputs, *graph.initializers.values(), *(v for n in nodes for v in n.outputs)]
    for each in (*nodes, *values):
        each.metadata_props.clear()
        each.doc_string = None


def _name_batch_(graph: Any) -> None:
    """In place: call the length of the batch what it is, where torch numbers it."""
    lengths = [
        dimension.dim_param
        for value in graph.input
        for dimension in value.type.tensor_type.shape.dim[:1]
        if dimension.dim_param
    ]
    if not lengths:
        return
    number = re.compile(rf"\b{re.escape(lengths[0])}\b")
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_param = number.sub(BATCH, dimension.dim_param)
