"""The tracer: runs a model and follows, through every operator that really runs, which unit each element belongs to."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import TensorWeakRef

from surplus.base import InvalidArgument
from surplus.units.atoms import NONE
from surplus.units.chain import check_module, evaluating, left_as_found
from surplus.units.flow import Flow, Integer, View
from surplus.units.integers import noted_integers
from surplus.units.labels import NOTHING, Carried, Label, compressed
from surplus.units.places import Places
from surplus.units.rules import rule_for

SCALED = "nn.MultiheadAttention with one head divides by the root of its width"


def trace(model: nn.Module, example: Any) -> Flow:
    """Run a model once on an example, in evaluation mode, and follow its units.

    Raises:
        InvalidArgument: the model does not run on the example.
    """
    check_module(model)
    flow = Flow(model)
    positional, named = arguments(example)
    places = Places()
    with (
        torch.no_grad(),
        evaluating(model),
        left_as_found(model),
        plain_kernels(model),
        places.watching(model),
        _watched(model, flow, places),
    ):
        try:
            with _Tracer(flow, places), noted_integers(model, flow):
                outputs = model(*positional, **named)
        except Exception as failed:
            if flow.failed:
                raise
            raise InvalidArgument(
                f"The model does not run on an example of {described(example)}:"
                f" {flow.because(str(failed))}."
            ) from failed
        flow.operator = "return"
        _tie_attention(model, flow)  # as long as weights that hooks compute are those of the run
        _tie_recurrent(model, flow)
    flow.freeze_computed()
    for output in tree_leaves(outputs):
        for label in flow.of(output).labels:
            flow.atoms.protect(label.ids, "they are the outputs of the network")
    return flow


def _note_bare_normalisation(flow: Flow, name: str, module: nn.Module, source: Tensor) -> None:
    """Note the sizes of a normalisation that has no tensors of its own from which they would follow."""
    if any(True for _ in (*module.parameters(recurse=False), *module.buffers(recurse=False))):
        return
    everything = (0, source.shape[1]) if source.dim() > 1 else (0, 0)
    if isinstance(module, nn.modules.batchnorm._NormBase):
        flow.note_bound(Integer(name, "num_features", None), source, 1, everything)
    elif isinstance(module, nn.GroupNorm):
        flow.note_bound(Integer(name, "num_channels", None), source, 1, everything)
    elif isinstance(module, nn.LayerNorm | nn.RMSNorm):
        first = source.dim() - len(module.normalized_shape)
        for place, size in enumerate(module.normalized_shape):
            integer = Integer(name, "normalized_shape", place)
            flow.note_bound(integer, source, first + place, (0, size))


def _tie_attention(model: nn.Module, flow: Flow) -> None:
    """Tie the heads of torch's own attention to its features: its code wants their widths to be equal."""
    for module in model.modules():
        if isinstance(module, nn.MultiheadAttention):
            query = (
                module.in_proj_weight if module.in_proj_weight is not None else module.q_proj_weight
            )
            rows, columns = flow.along(query, 0), flow.along(query, 1)
            if rows is None or columns is None:
                continue  # a single feature
            if module.num_heads == 1:
                flow.atoms.protect(rows, flow.because(SCALED))
            why = "nn.MultiheadAttention makes heads and features equally wide"
            flow.unite(rows[: len(columns)], columns, why)


def _tie_recurrent(model: nn.Module, flow: Flow) -> None:
    """Tie what a recurrent layer reads of its state to what it computes of it, also where it ran a single step."""
    for module in model.modules():
        if not isinstance(module, nn.RNNBase | nn.RNNCellBase) or vars(module).get("proj_size"):
            continue
        for name, weight in module.named_parameters(recurse=False):
            rows, columns = flow.along(weight, 0), flow.along(weight, 1)
            if name.startswith("weight_hh") and rows is not None and columns is not None:
                why = "a recurrent layer reads the state that it computes"
                flow.unite(rows.view(-1, len(columns)), columns, why)


def arguments(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and the keyword arguments that an example stands for, with tensors copied.

    A tensor or any other object is one argument, a tuple several, a dictionary with string keys keyword arguments.
    """
    copied = tree_map(lambda each: each.clone() if isinstance(each, Tensor) else each, example)
    if isinstance(copied, Mapping):
        return (), dict(copied)
    return (tuple(copied), {}) if isinstance(copied, tuple) else ((copied,), {})


def described(example: Any) -> str:
    """Describe the tensors of an example: shapes and types."""
    tensors = [each for each in tree_leaves(example) if isinstance(each, Tensor)]
    return ", ".join(f"shape {tuple(each.shape)} and type {each.dtype}" for each in tensors)


@contextmanager
def plain_kernels(model: nn.Module) -> Iterator[None]:
    """Let attention and recurrent layers run as the plain operators that they are made of."""
    fast = torch.backends.mha.get_fastpath_enabled()
    onednn = torch._C._get_mkldnn_enabled()
    if any(isinstance(module, nn.RNNBase) for module in model.modules()):
        torch._C._set_mkldnn_enabled(False)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch._C._set_mkldnn_enabled(onednn)
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def _watched(model: nn.Module, flow: Flow, places: Places) -> Iterator[None]:
    """Keep `flow.module` at the module that runs."""

    def enter(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any) -> None:
            flow.module = name
            if inputs and isinstance(inputs[0], Tensor):
                # What the flow does with labels is no part of the run.
                with torch._C.DisableTorchFunction(), _disable_current_modes():
                    _note_bare_normalisation(flow, name, module, inputs[0])

        return hook

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        flow.module = places.running[-1]

    with ExitStack() as stack:
        for name, module in model.named_modules():
            stack.callback(module.register_forward_pre_hook(enter(name), prepend=True).remove)
            stack.callback(module.register_forward_hook(leave).remove)
        yield


@final
class _Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs each operator, then its rule on the labels."""

    def __init__(self, flow: Flow, places: Places) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._flow = flow
        self._places = places
        self._owners: dict[int, TensorWeakRef] = {}

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        outputs = operator(*args, **kwargs)
        flow = self._flow
        flow.order += 1
        flow.place = self._places.next(operator)
        flow.operator = str(operator.overloadpacket)
        flow.note_use((args, kwargs))
        tensors = [each for each in tree_leaves(outputs) if isinstance(each, Tensor)]
        results = [NOTHING for _ in tensors]
        with flow.guarded((args, kwargs)):
            results = rule_for(operator)(flow, operator, args, kwargs, tensors)
        pointwise = torch.Tag.pointwise in operator.tags
        for tensor, carried in zip(tensors, results, strict=True):
            flow.set(tensor, carried)
            if not carried.weight:
                flow.views += [
                    View(flow.order, flow.place, pointwise, axes[0], ids.reshape(-1))
                    for ids, axes in ((each.ids, each.axes) for each in carried.labels)
                    if len(axes) == 1
                ]
            owner = self._owner(tensor)
            if operator._schema.is_mutable and owner is not tensor:
                flow.set(owner, _written(flow, owner, tensor, carried))
        return outputs

    def _owner(self, tensor: Tensor) -> Tensor:
        """Return the tensor that the memory of this one was made for."""
        if tensor.layout != torch.strided:
            return tensor
        address = tensor.untyped_storage().data_ptr()
        known = self._owners.get(address)
        owner = known() if known is not None else None
        if owner is not None and owner.untyped_storage().data_ptr() == address:
            return owner
        self._owners[address] = TensorWeakRef(tensor)
        return tensor


def _covers(carried: Carried, part: Tensor, owner: Tensor) -> bool:
    """Say whether a part has all units of the whole, so that the rest of the whole can only be constant."""
    return part.dim() == owner.dim() and all(
        part.shape[axis] == owner.shape[axis] for label in carried.labels for axis in label.axes
    )


def _written(flow: Flow, owner: Tensor, part: Tensor, carried: Carried) -> Carried:
    """Return what a tensor carries after a part of its memory was overwritten."""
    before = flow.of(owner)
    if carried.labels and not (before.labels or before.wild):
        flow.protect(carried, "they are written into a tensor of fixed size")
        return before
    if not carried.labels:
        return before if before.wild and carried.wild else Carried(before.labels)
    if before.wild and _covers(carried, part, owner):
        return Carried((Label(carried.labels[0].ids, zero=False),))
    if (
        owner.storage_offset()
        or owner.numel() * owner.element_size() < owner.untyped_storage().nbytes()
    ):
        return before  # only a part of the memory itself: the rest of it carries labels of its own
    shadow = torch.full_like(owner, NONE, dtype=torch.int64)
    part_of = before.labels[:1]
    for label in part_of:
        shadow.copy_(label.ids.expand(owner.shape))
    offset = part.storage_offset() - owner.storage_offset()
    window = shadow.as_strided(part.shape, part.stride(), offset)
    written = carried.labels[0].ids.expand(part.shape)
    if part_of:  # what stood there and what is written are equally many
        apart = (window != written) & (window != NONE) & (written != NONE)
        flow.unite(window[apart], written[apart], "they are written over")
    window.copy_(written)
    return Carried((Label(compressed(shadow), zero=False), *before.labels[1:]))
