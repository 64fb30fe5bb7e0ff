"""Operators that reduce axes or look along them."""

from collections.abc import Sequence
from functools import partial
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
        flow.meet(label, "a sum")
        return
    if how == "mean":
        flow.couple(label, "mean")
        return
    why = "they are added up without weights" if how == "sum" else "their values are compared"
    flow.atoms.protect(label.ids, flow.because(why))


def reduce(
    flow: Flow,
    operator: Any,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    outputs: list[Tensor],
    how: str = "other",
    place: int = 1,
    default: int | None = None,
) -> list[Carried]:
    """Make axes one, all of them where none are given.

    Args:
        flow: What is known.
        operator: The operator.
        args: Its arguments.
        kwargs: Its arguments by name.
        outputs: What it returned.
        how: "sum" where zeros of removed units do not count; "mean" for a statistic of those kept; else "other".
        place: Which argument gives the axes.
        default: The axis where none is given; None for all of them.
    """
    given = args[place] if len(args) > place else kwargs.get("dim", default)
    axes = _axes(given if isinstance(given, int | list | tuple) else None, args[0].dim())
    return [_reduced(flow, args[0], axes, each, how) for each in outputs]


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


COMPARING = (
    "amax", "amin", "max", "min", "argmax", "argmin", "var", "std", "var_mean", "std_mean", "logsumexp", "prod", "all",
    "any", "aminmax", "median", "mode", "count_nonzero", "nansum", "nanmean", "nanmedian",
)  # fmt: skip
ALONG = (
    "_softmax", "_log_softmax", "_safe_softmax", "softmax", "log_softmax", "cumsum", "cumprod", "sort", "argsort",
    "logcumsumexp", "cummax", "cummin", "topk",
)  # fmt: skip
RULES = (
    {"sum": partial(reduce, how="sum"), "mean": partial(reduce, how="mean")}
    | dict.fromkeys(("linalg_vector_norm", "norm"), partial(reduce, how="sum", place=2))
    | dict.fromkeys(COMPARING, reduce)
    | {"kthvalue": partial(reduce, place=2, default=-1)}
    | dict.fromkeys(ALONG, along)
)
