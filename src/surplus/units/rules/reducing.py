"""Operators that reduce axes or look along them."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from surplus.units.flow import Flow
from surplus.units.labels import Carried, Label


def _axes(given: Any, dim: int) -> list[int]:
    if given is None or given == []:
        return list(range(dim))
    return [each % dim for each in ([given] if isinstance(given, int) else given)]


def _reduced(flow: Flow, source: Tensor, axes: list[int], output: Tensor, how: str) -> Carried:
    """Return what is left when axes are summed, averaged, or otherwise made one."""
    carried, labels = flow.of(source), []
    kept_axes = output.dim() == source.dim()
    for label in carried.labels:
        left: Label | None = label
        along = [axis for axis in axes if axis in label.axes]
        if along and set(label.axes) == set(along):
            _end(flow, label, how)
            left = None
        elif along:
            left = flow.freeze(label, along, "they are reduced")
        if left is None:
            continue
        ids = left.ids
        if not kept_axes:
            for axis in sorted(axes, reverse=True):
                ids = ids.squeeze(axis)
        labels.append(Label(ids, left.zero))
    return Carried(tuple(labels), carried.weight, carried.wild)


def _end(flow: Flow, label: Label, how: str) -> None:
    """End a label whose only axis is reduced: exact for a sum of zeros, another statistic for a mean."""
    if how == "sum" and label.zero:
        return
    if how == "mean":
        flow.couple(label, "mean")
        return
    flow.atoms.protect(
        label.ids,
        flow.because(
            f"their {'sum' if how == 'sum' else 'values'} are compared or added up without weights"
        ),
    )


def total(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Sum over axes; zeros of removed units do not count."""
    axes = _axes(args[1] if len(args) > 1 else kwargs.get("dim"), args[0].dim())
    return [_reduced(flow, args[0], axes, outputs[0], "sum")]


def norm(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Take a norm over axes; zeros of removed units do not count."""
    axes = _axes(args[2] if len(args) > 2 else kwargs.get("dim"), args[0].dim())
    return [_reduced(flow, args[0], axes, outputs[0], "sum")]


def mean(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Average over axes; over units that is a statistic of those kept."""
    axes = _axes(args[1] if len(args) > 1 else kwargs.get("dim"), args[0].dim())
    return [_reduced(flow, args[0], axes, outputs[0], "mean")]


def extreme(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Take a maximum, minimum, variance or the like over axes."""
    place = 2 if operator._schema.name == "aten::kthvalue" else 1
    given = args[place] if len(args) > place else kwargs.get("dim", -1 if place > 1 else None)
    axes = _axes(given if isinstance(given, int | list | tuple) else None, args[0].dim())
    return [_reduced(flow, args[0], axes, each, "other") for each in outputs]


def along(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Look along one axis and keep it: softmax, cumulative sums, sorting."""
    carried = flow.of(args[0])
    place = 2 if operator._schema.name == "aten::topk" else 1
    given = args[place] if len(args) > place else kwargs.get("dim", -1)
    axis = given % args[0].dim() if isinstance(given, int) and args[0].dim() else 0
    kept = (flow.freeze(label, [axis], "they compete or are counted") for label in carried.labels)
    labels = tuple(Label(label.ids, False) for label in kept if label is not None)
    return [Carried(labels, carried.weight) for _ in outputs]


EXTREME = (
    "amax", "amin", "max", "min", "argmax", "argmin", "var", "std", "var_mean", "std_mean", "logsumexp", "prod", "all",
    "any", "aminmax", "median", "mode", "count_nonzero", "nansum", "nanmean", "nanmedian",
    "kthvalue",
)  # fmt: skip
ALONG = (
    "_softmax", "_log_softmax", "_safe_softmax", "softmax", "log_softmax", "cumsum", "cumprod", "sort", "argsort",
    "logcumsumexp", "cummax", "cummin", "topk",
)  # fmt: skip
RULES = (
    {"sum": total, "mean": mean, "linalg_vector_norm": norm, "norm": norm}
    | dict.fromkeys(EXTREME, extreme)
    | dict.fromkeys(ALONG, along)
)
