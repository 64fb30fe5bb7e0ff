"""Operators that make tensors from nothing."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from surplus.units.flow import Flow
from surplus.units.labels import NOTHING, Carried


def constant(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Return a tensor of one value, whose size follows what it meets."""
    return [Carried(wild=True) for _ in outputs]


def fixed(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Return a tensor whose size cannot change."""
    return [NOTHING for _ in outputs]


CONSTANT = (
    "zeros", "ones", "full", "empty", "empty_like", "zeros_like", "ones_like", "full_like", "new_zeros", "new_ones",
    "new_full", "new_empty", "new_empty_strided", "empty_strided", "fill", "fill_", "zero_", "zero", "scalar_tensor",
)  # fmt: skip
FIXED = (
    "arange",
    "linspace",
    "eye",
    "rand",
    "randn",
    "randint",
    "randperm",
    "rand_like",
    "randn_like",
    "lift_fresh",
)
RULES = {name: constant for name in CONSTANT} | {name: fixed for name in FIXED}
