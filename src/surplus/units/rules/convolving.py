"""Convolutions of every kind: they end the units of the input's channels and begin those of the output's."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Int
from torch import Tensor

from surplus.units.flow import Flow
from surplus.units.labels import Carried, Label, laid
from surplus.units.rules.contracting import FIXED

Ids = Int[Tensor, " _"]
KERNEL = "they are positions of a kernel"


def convolve(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Tie the input's channels to the weights that read them, and say which channels come out."""
    source, weight, bias, transposed, num_groups = args[0], args[1], args[2], args[6], args[8]
    known = flow.of(weight)
    first, second = (_along(flow, known, axis, range(2, weight.dim()), KERNEL) for axis in (0, 1))
    maps = [axis for axis in range(source.dim()) if axis != 1]
    received = _along(flow, flow.of(source), 1, maps, "they are positions of a map")
    if known.weight:
        reading, computing = (first, second) if transposed else (second, first)
        if transposed and num_groups == weight.shape[0] > 1:  # each channel goes on by itself
            reading, computing = None, first
        if reading is not None:
            flow.atoms.mark(reading, "outgoing", flow.order)
        if computing is not None:
            flow.atoms.mark(computing, "incoming", flow.order)
        else:
            flow.single(known)
    connect = _transposed if transposed else _grouped
    emitted = (
        _plain(flow, received, *((first, second) if transposed else (second, first)))
        if num_groups == 1
        else connect(flow, received, first, second, num_groups)
    )
    labels = _with_bias(flow, emitted, bias, source.dim())
    zero = all(label.zero for label in (*known.labels, *flow.of(bias).labels))
    return [
        Carried(tuple(Label(label.ids, zero) for label in labels)),
        *(Carried() for _ in outputs[1:]),
    ]


def _along(flow: Flow, carried: Carried, axis: int, others: Sequence[int], why: str) -> Ids | None:
    """Return the ids along one axis; units that also vary along the others go as a whole."""
    found = None
    for label in carried.labels:
        left = flow.freeze(label, [other for other in others if other != axis], why)
        if left is not None and axis in left.axes:
            ids = left.ids.movedim(axis, 0).reshape(left.ids.shape[axis], -1)[:, 0]
            if found is not None:
                flow.unite(found, ids, why)
            found = ids
    return found


def _plain(
    flow: Flow, received: Ids | None, reading: Ids | None, computing: Ids | None
) -> Ids | None:
    if received is not None and reading is not None:
        flow.unite(received, reading, FIXED)
    else:
        _protect(flow, received, reading)
    return computing


def _grouped(
    flow: Flow, received: Ids | None, computing: Ids | None, reading: Ids | None, num_groups: int
) -> Ids | None:
    """Connect each block of input channels to its block of output channels."""
    if reading is not None:
        if received is not None:
            flow.unite(received.view(num_groups, -1), reading, FIXED)
        else:
            _protect(flow, reading)
    if computing is None:
        _protect(flow, received)
        return None
    blocks = computing.view(num_groups, -1)
    if reading is None:  # one input channel for each block: block and channel go together
        if received is None:
            _protect(flow, computing)
            return None
        flow.unite(blocks, received[:, None], FIXED)
    else:
        flow.atoms.even(tuple(blocks), flow.because("a grouped convolution has equal groups"))
    return computing


def _transposed(
    flow: Flow, received: Ids | None, reading: Ids | None, computing: Ids | None, num_groups: int
) -> Ids | None:
    """The same for a transposed convolution, whose weight lists the input channels first."""
    if received is None or reading is None:
        _protect(flow, received, reading, computing)
        return None
    flow.unite(received, reading, FIXED)
    blocks = reading.view(num_groups, -1)
    if blocks.shape[1] > 1:
        flow.atoms.even(tuple(blocks), flow.because("a grouped convolution has equal groups"))
        return None if computing is None else computing.repeat(num_groups)
    if computing is None:
        return reading
    _protect(flow, computing)
    return reading.repeat_interleave(len(computing))


def _with_bias(flow: Flow, emitted: Ids | None, bias: Tensor | None, dim: int) -> tuple[Label, ...]:
    added = flow.of(bias).labels
    if emitted is None:
        for label in added:
            flow.atoms.protect(label.ids, flow.because(FIXED))
        return ()
    labels = [laid(ids, 1, dim, zero=False) for ids in (emitted, *(label.ids for label in added))]
    return flow.merge(labels, FIXED, product=False)


def _protect(flow: Flow, *ids: Ids | None) -> None:
    for each in ids:
        if each is not None:
            flow.atoms.protect(each, flow.because(FIXED))


RULES = {"convolution": convolve, "_convolution": convolve, "convolution_overrideable": convolve}
