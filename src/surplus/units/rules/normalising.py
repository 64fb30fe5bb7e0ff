"""Normalisation: what belongs to each unit is tied to it; statistics over several units couple them."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from surplus.units.flow import Flow
from surplus.units.labels import Carried, Label, laid

FIXED = "they meet statistics of fixed size"


def batch_norm(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Normalise each channel by itself; scale, shift and running statistics go with it."""
    source = args[0]
    own = [each for each in args[1:5] if isinstance(each, Tensor)]
    carried = flow.of(source)
    maps = list(range(2, source.dim()))
    labels = _tied(
        flow, source, [flow.freeze(label, maps, FIXED) for label in carried.labels], own, 1
    )
    zero = isinstance(args[1], Tensor) and isinstance(args[2], Tensor)
    return [
        Carried(tuple(Label(label.ids, zero) for label in labels)),
        *(Carried() for _ in outputs[1:]),
    ]


def layer_norm(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Normalise over the last axes; units along them share their statistics."""
    source, shape = args[0], args[1]
    own = [each for each in args[2:4] if isinstance(each, Tensor)]
    first = source.dim() - len(shape)
    labels = list(flow.of(source).labels)
    for tensor in own:
        labels += [
            Label(each.ids.reshape((1,) * first + tuple(each.ids.shape)), each.zero)
            for each in flow.of(tensor).labels
        ]
    united = flow.merge(labels, FIXED, product=False)
    result = []
    for label in united:
        if any(axis >= first for axis in label.axes):
            flow.couple(label, "layer normalisation")
        result.append(Label(label.ids, len(own) == 2))
    if not flow.of(source).labels:  # nothing that could be removed is normalised here
        for label in result:
            flow.atoms.protect(label.ids, flow.because(FIXED))
        result = []
    return [Carried(tuple(result)), *(Carried() for _ in outputs[1:])]


def group_norm(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Normalise over blocks of channels; as many must stay in each."""
    source, num_groups = args[0], args[6]
    own = [each for each in args[1:3] if isinstance(each, Tensor)]
    maps = list(range(2, source.dim()))
    kept = [flow.freeze(label, maps, FIXED) for label in flow.of(source).labels]
    labels = _tied(flow, source, kept, own, 1)
    for label in labels:
        channels = source.shape[1]
        if 1 not in label.axes or num_groups == channels:
            continue
        flow.couple(label, "group normalisation")
        if num_groups > 1:
            blocks = label.ids.movedim(1, 0).reshape(num_groups, -1)
            why = flow.because("a group normalisation has equal groups")
            flow.atoms.even(tuple(blocks), why)
    result = tuple(Label(label.ids, len(own) == 2) for label in labels)
    return [Carried(result), *(Carried() for _ in outputs[1:])]


def weight_norm(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Scale the rows of a weight to given lengths: a removed row has none, so a masked network would not be defined."""
    labels = [label for each in args[:2] for label in flow.of(each).labels]
    united = flow.merge(labels, FIXED, product=True)
    rows = [label for label in flow.of(args[1]).labels if label.axes]
    flow.protect(
        Carried(tuple(rows)),
        "a weight normalisation divides by their length; take it off first with"
        " torch.nn.utils.parametrize.remove_parametrizations, or remove_weight_norm for that of hooks",
    )
    return [Carried(united, weight=flow.of(args[0]).weight), *(Carried() for _ in outputs[1:])]


def _tied(
    flow: Flow, source: Tensor, kept: Sequence[Label | None], own: Sequence[Tensor], axis: int
) -> tuple[Label, ...]:
    """Unite the channels of an input with the vectors that hold one value for each."""
    labels = [label for label in kept if label is not None]
    covered = any(axis in label.axes for label in labels)
    for tensor in own:
        for each in flow.of(tensor).labels:
            if covered:
                labels.append(laid(each.ids, axis, source.dim(), each.zero))
            else:
                flow.atoms.protect(each.ids, flow.because(FIXED))
    return flow.merge(labels, FIXED, product=False)


BATCH = ("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm",
         "_batch_norm_no_update", "_batch_norm_with_update", "batch_norm", "miopen_batch_norm")  # fmt: skip
RULES = dict.fromkeys(BATCH, batch_norm) | {
    "_weight_norm_interface": weight_norm,
    "native_layer_norm": layer_norm,
    "native_group_norm": group_norm,
}
