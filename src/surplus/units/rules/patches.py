"""Patches: maps whose neighbouring positions are laid out beside each channel, and back."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from surplus.units.flow import Flow
from surplus.units.labels import Carried, Label
from surplus.units.rules.indexing import held

POSITIONS = "they are positions of a map"
PATCHES = "they are patches of a map"
NEIGHBOURS = "the positions of a patch lie beside each channel"


def unfold(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Lay the positions of each patch beside their channel: a channel takes all of them along."""
    source, kernel = args[0], args[1]
    carried = held(flow, source, [source.dim() - 2, source.dim() - 1], POSITIONS)
    labels = []
    for label in carried.labels:
        ids = label.ids.squeeze(-1)
        if ids.shape[-2] > 1:
            ids = ids.repeat_interleave(kernel[0] * kernel[1], -2)
        labels.append(Label(ids, label.zero))
    return [replace(carried, labels=tuple(labels))]


def fold(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Sum overlapping patches into a map: the positions beside each channel go together."""
    source, kernel = args[0], args[2]
    axis = source.dim() - 2
    carried = held(flow, source, [axis + 1], PATCHES)
    labels: list[Label | None] = []
    for label in carried.labels:
        if label.ids.shape[axis] == 1:
            labels.append(Label(label.ids.unsqueeze(-1), label.zero))
            continue
        before = label.ids.shape[:axis]
        by_channel = label.ids.reshape(*before, -1, kernel[0] * kernel[1], 1)
        labels.append(flow.freeze(Label(by_channel, label.zero), [axis + 1], NEIGHBOURS))
    return [replace(carried, labels=tuple(each for each in labels if each is not None))]


RULES = {"im2col": unfold, "col2im": fold}
