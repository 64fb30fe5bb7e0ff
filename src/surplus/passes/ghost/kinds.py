"""The operators that are known: what their nodes keep, and how that gives per-example gradients."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from surplus.passes.ghost.convolution import Convolved, Windows
from surplus.passes.ghost.dense import Dense
from surplus.passes.ghost.direct import Direct
from surplus.passes.ghost.graph import Use
from surplus.passes.ghost.layout import Layout
from surplus.passes.ghost.lookup import Lookup
from surplus.passes.ghost.pieces import Piece
from surplus.passes.ghost.products import Products


def _as_it_is(delta: Tensor) -> Tensor:
    return delta


Make = Callable[[Tensor, Layout, int], Piece | None]


@final
@dataclass(frozen=True, slots=True)
class Reading:
    """What must be taken from a node before its graph is freed.

    `piece` makes the per-example gradients from the gradient at the node's output, in the order that `arrange` brings
    it into, given which of its elements belong to which example; it returns None where that cannot be used.
    """

    piece: Make
    arrange: Callable[[Tensor], Tensor] = _as_it_is
    together: Callable[[Tensor], int] = lambda delta: 1
    """How many elements side by side belong to one example, whatever the layout."""


Kind = Callable[[Use], Reading | None]


def _last(delta: Tensor) -> int:
    return delta.shape[-1]


def _products(use: Use, rows: Tensor, columns_first: bool, scale: float) -> Make:
    def piece(delta: Tensor, layout: Layout, examples: int) -> Piece:
        values = delta if scale == 1 else delta * scale
        part = Dense(rows[:, None], values[:, None], layout, examples)
        return Products([part], use.shape, columns_first)

    return piece


def _matrix_product(use: Use, left: str, right: str, index: int, scale: float) -> Reading:
    """Read `left @ right`, of which the parameter is the one of this index."""
    if index == 1:
        rows = getattr(use.node, left).detach()
        return Reading(_products(use, rows, True, scale), together=_last)
    rows = getattr(use.node, right).detach().mT
    return Reading(_products(use, rows, False, scale), lambda delta: delta.mT, _last)


def _mm(use: Use) -> Reading | None:
    return _matrix_product(use, "_saved_self", "_saved_mat2", use.index, 1.0)


def _addmm(use: Use) -> Reading | None:
    if use.index == 0:
        return _broadcast(use, float(use.node._saved_beta))
    alpha = float(use.node._saved_alpha)
    return _matrix_product(use, "_saved_mat1", "_saved_mat2", use.index - 1, alpha)


def _bmm(use: Use) -> Reading | None:
    """Read a stack of matrices of which each has its own rows: no axis of the stack is the examples'."""
    columns_first = use.index == 1
    saved = use.node._saved_self if columns_first else use.node._saved_mat2.mT
    rows = saved.detach().transpose(0, 1)

    def arrange(delta: Tensor) -> Tensor:
        return (delta if columns_first else delta.mT).transpose(0, 1)

    def piece(delta: Tensor, layout: Layout, examples: int) -> Piece:
        return Products([Dense(rows, delta, layout, examples)], use.shape, columns_first)

    return Reading(piece, arrange, lambda delta: delta.shape[1] * delta.shape[2])


def _mv(use: Use) -> Reading | None:
    if use.index != 1:
        return None
    rows = use.node._saved_self.detach()

    def piece(delta: Tensor, layout: Layout, examples: int) -> Piece:
        part = Dense(rows[:, None], delta[:, None, None], layout, examples)
        return Products([part], use.shape)

    return Reading(piece)


def _convolution(use: Use) -> Reading | None:
    node = use.node
    if use.index == 2:
        return _along(use, 1)
    if use.index != 1:
        return None
    images = node._saved_input.detach()
    windows, transposed = Windows.of(node, use.shape[2:]), bool(node._saved_transposed)

    def piece(delta: Tensor, layout: Layout, examples: int) -> Piece:
        # A transposed convolution is the same sum with its two sides exchanged.
        received, returned = (delta, images) if transposed else (images, delta)
        part = Convolved(received, returned, windows, layout, examples)
        return Products([part], use.shape, exchanged=transposed)

    return Reading(piece, together=lambda delta: delta[0].numel())


def _embedding(use: Use) -> Reading | None:
    node = use.node
    if node._saved_scale_grad_by_freq:
        return None
    tokens, padding = node._saved_indices, node._saved_padding_idx
    num_rows = use.shape[0]

    def piece(delta: Tensor, layout: Layout, examples: int) -> Piece:
        # A table without a padding row has a huge number there, or a negative one.
        deltas = (
            delta.masked_fill((tokens == padding)[..., None], 0) if padding < num_rows else delta
        )
        rows = layout.split(deltas, examples, (delta.shape[-1],)).transpose(0, 1)
        places = layout.split(tokens, examples, ()).transpose(0, 1)
        return Lookup(
            places.reshape(examples, -1), rows.reshape(examples, -1, delta.shape[-1]), num_rows
        )

    return Reading(piece, together=_last)


def _along(use: Use, axis: int, factor: Callable[[], Tensor] | None = None) -> Reading:
    """Read a vector along one axis of the output, by which that is shifted, or scaled with a factor."""
    multiplied = None if factor is None else factor()

    def piece(delta: Tensor, layout: Layout, examples: int) -> Piece | None:
        aligned = (use.shape[0], *[1] * (delta.dim() - axis - 1))
        values = delta if multiplied is None else delta * multiplied
        return _reduced(values, layout, examples, aligned, use.shape)

    return Reading(piece)


def _broadcast(use: Use, scale: float = 1.0, factor: Tensor | None = None) -> Reading:
    """Read what is added to the output, or multiplied with a factor, and repeated where it is smaller."""

    def piece(delta: Tensor, layout: Layout, examples: int) -> Piece | None:
        values = delta if scale == 1 else delta * scale
        values = values if factor is None else values * factor
        return _reduced(values, layout, examples, use.shape, use.shape)

    return Reading(piece)


def _reduced(
    values: Tensor, layout: Layout, examples: int, aligned: tuple[int, ...], shape: tuple[int, ...]
) -> Direct | None:
    """Sum over all that a smaller shape was repeated along, but for the examples."""
    if examples == 1:
        return Direct(values.sum_to_size(aligned).reshape(1, *shape))
    sizes = tuple(values.shape)
    axis, inner = len(sizes), 1
    while axis and inner * sizes[axis - 1] <= layout.inner:
        axis -= 1
        inner *= sizes[axis]
    axis -= 1
    if axis < 0 or sizes[axis] % examples or layout.inner % inner:
        return None
    padded = (1,) * (len(sizes) - len(aligned)) + aligned
    count = layout.inner // inner
    if padded[axis] != 1 or sizes[axis] % (examples * count):
        return None
    split = values.reshape(*sizes[:axis], -1, examples, count, *sizes[axis + 1 :])
    gone = [each if each < axis else each + 2 for each, size in enumerate(padded) if size == 1]
    gone = sorted({*gone, axis, axis + 2} - {axis + 1})
    found = split.sum(gone, keepdim=True).movedim(axis + 1, 0)
    return Direct(found.reshape(examples, *shape))


def _normalised(use: Use, values: Callable[[], Tensor], axis: int | None) -> Reading | None:
    """Read the factor (index 1) or the shift (index 2) of a normalisation, along an axis or along the last ones."""
    if use.index not in (1, 2):
        return None
    factor = values if use.index == 1 else None
    if axis is not None:
        return _along(use, axis, factor)
    return _broadcast(use, 1.0, None if factor is None else factor())


def _layer_norm(use: Use) -> Reading | None:
    node = use.node
    return _normalised(
        use, lambda: (node._saved_input.detach() - node._saved_result1) * node._saved_result2, None
    )


def _group_norm(use: Use) -> Reading | None:
    node = use.node

    def values() -> Tensor:
        source = node._saved_input.detach()
        groups = source.reshape(len(source), node._saved_group, -1)
        mean, scale = (each.reshape(*groups.shape[:2], 1) for each in _statistics(node))
        return ((groups - mean) * scale).reshape(source.shape)

    return _normalised(use, values, 1)


def _statistics(node: Any) -> tuple[Tensor, Tensor]:
    return node._saved_result1, node._saved_result2


def _batch_norm(use: Use) -> Reading | None:
    node = use.node
    if node._saved_training:
        return None

    def values() -> Tensor:
        source = node._saved_input.detach()
        shape = (-1, *[1] * (source.dim() - 2))
        scale = (node._saved_running_var + node._saved_eps).rsqrt()
        return (source - node._saved_running_mean.reshape(shape)) * scale.reshape(shape)

    return _normalised(use, values, 1)


def _add(use: Use) -> Reading | None:
    return _broadcast(use, float(use.node._saved_alpha) if use.index == 1 else 1.0)


def _subtract(use: Use) -> Reading | None:
    return _broadcast(use, -float(use.node._saved_alpha) if use.index == 1 else 1.0)


def _multiply(use: Use) -> Reading | None:
    other = use.node._saved_other if use.index == 0 else use.node._saved_self
    return None if other is None else _broadcast(use, 1.0, other.detach())


def _divide(use: Use) -> Reading | None:
    below = use.node._saved_other
    if use.index == 0:
        return _broadcast(use, 1.0, 1 / below.detach())
    return _broadcast(use, 1.0, -use.node._saved_self.detach() / below.detach().square())


def _expand(use: Use) -> Reading | None:
    return _broadcast(use)


def _prelu(use: Use) -> Reading | None:
    if use.index != 1:
        return None
    return _broadcast(use, 1.0, use.node._saved_self.detach().clamp(max=0))


KINDS: dict[str, Kind] = {
    "MmBackward0": _mm,
    "AddmmBackward0": _addmm,
    "BmmBackward0": _bmm,
    "MvBackward0": _mv,
    "ConvolutionBackward0": _convolution,
    "EmbeddingBackward0": _embedding,
    "NativeLayerNormBackward0": _layer_norm,
    "NativeGroupNormBackward0": _group_norm,
    "NativeBatchNormBackward0": _batch_norm,
    "AddBackward0": _add,
    "SubBackward0": _subtract,
    "MulBackward0": _multiply,
    "DivBackward0": _divide,
    "ExpandBackward0": _expand,
    "PreluKernelBackward0": _prelu,
}


def read(use: Use) -> Reading | None:
    """Take what is needed from a node, if its operator is known; the gradients that it gives are detached."""
    kind = KINDS.get(use.node.name())
    with torch.no_grad():
        return None if kind is None else kind(use)
