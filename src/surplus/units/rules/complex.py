"""Complex numbers, and Fourier transforms."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from surplus.units.flow import Flow
from surplus.units.labels import Carried, Label
from surplus.units.rules.indexing import held

MIXED = "a Fourier transform mixes them"


def from_pairs(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Make complex numbers of pairs along the last axis."""
    source = args[0]
    carried = held(flow, source, [source.dim() - 1], "pairs of them are complex numbers")
    labels = tuple(Label(each.ids.squeeze(-1), each.zero) for each in carried.labels)
    return [Carried(labels, carried.weight, carried.wild)]


def to_pairs(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Make pairs of complex numbers, along a new last axis."""
    carried = flow.of(args[0])
    labels = tuple(Label(each.ids.unsqueeze(-1), each.zero) for each in carried.labels)
    return [Carried(labels, carried.weight, carried.wild)]


def transform(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Transform some axes, which stay as they are; zeros stay zeros along the others."""
    source = args[0]
    carried = held(flow, source, [axis % source.dim() for axis in args[1]], MIXED)
    return [Carried(carried.labels, carried.weight) for _ in outputs]


RULES = {"view_as_complex": from_pairs, "view_as_real": to_pairs}
RULES |= dict.fromkeys(("_fft_r2c", "_fft_c2r", "_fft_c2c"), transform)
