"""Operators that work on each map by itself: pooling, padding, interpolation, patches."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from surplus.units.flow import Flow
from surplus.units.labels import Carried, viewed
from surplus.units.rules.indexing import beside


def resample(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Keep the labels of the leading axes; a map whose positions carry several units goes as a whole."""
    source = args[0]
    num_spatial = _spatial(operator._schema.name)
    maps = list(range(source.dim() - num_spatial, source.dim()))
    carried = flow.of(source)
    kept = (
        flow.freeze(label, maps, "they are positions that are pooled or resampled")
        for label in carried.labels
    )
    labels = tuple(label for label in kept if label is not None)
    return [Carried(labels, carried.weight, carried.wild) for _ in outputs]


def unpool(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Put the positions of a map back to where they were pooled from: its channels meet those that were pooled."""
    (carried,) = resample(flow, operator, args, kwargs, outputs)
    numbers, num_spatial = args[1], _spatial(operator._schema.name)
    maps = range(numbers.dim() - num_spatial, numbers.dim())
    return [beside(flow, carried, outputs[0], numbers, maps)]


def pad(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Pad with a constant: what is added carries no unit."""
    source, amounts = args[0], args[1]
    carried, labels = flow.of(source), []
    padded = {source.dim() - 1 - place // 2 for place, each in enumerate(amounts) if each}
    for label in carried.labels:
        if padded & set(label.axes):
            labels += viewed(label, source.shape, lambda ids: operator(ids, amounts, -1))
        else:
            labels.append(label)
    return [Carried(tuple(label for label in labels if label is not None), carried.weight)]


def _spatial(name: str) -> int:
    digits = [int(each) for each in name if each in "123"]
    return digits[0] if digits else 2


POOLS = [
    f"{kind}_pool{d}d" for kind in ("max", "avg", "adaptive_max", "adaptive_avg") for d in (1, 2, 3)
]
NAMES = (
    *POOLS,
    *(f"_{each}" for each in POOLS),
    *(f"{each}_with_indices" for each in POOLS),
    *(f"upsample_{kind}{d}d" for kind in ("nearest", "linear", "_nearest_exact") for d in (1, 2, 3)),
    "upsample_bilinear2d", "_upsample_bilinear2d_aa", "upsample_bicubic2d", "_upsample_bicubic2d_aa",
    "upsample_trilinear3d", *(f"_upsample_nearest_exact{d}d" for d in (1, 2, 3)),
    *(f"{kind}_pad{d}d" for kind in ("reflection", "replication", "circular") for d in (1, 2, 3)),
    "fractional_max_pool2d", "fractional_max_pool3d", "grid_sampler_2d", "grid_sampler_3d",
)  # fmt: skip
RULES = dict.fromkeys(NAMES, resample) | {"constant_pad_nd": pad}
RULES |= dict.fromkeys(("max_unpool2d", "max_unpool3d"), unpool)
