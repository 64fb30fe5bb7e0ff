"""Operators that make tensors from nothing."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from surplus.units.flow import Flow
from surplus.units.labels import NOTHING, Carried, Label


def constant(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Return a tensor of one value, whose size follows what it meets."""
    return [Carried(wild=True) for _ in outputs]


def alike(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Return a constant that is as large as another tensor, or takes its place."""
    zero = "zero" in operator._schema.name
    known = flow.of(args[0])
    labels = tuple(Label(label.ids, zero) for label in known.labels)
    return [Carried(labels, wild=not labels and known.wild) for _ in outputs]


def fixed(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Return a tensor whose size cannot change."""
    return [NOTHING for _ in outputs]


CONSTANT = (
    "zeros", "ones", "full", "empty", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty",
    "new_empty_strided", "empty_strided", "scalar_tensor",
)  # fmt: skip
ALIKE = ("zeros_like", "ones_like", "full_like", "fill", "zero")
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
RULES = (
    {name: constant for name in CONSTANT}
    | {name: alike for name in ALIKE}
    | {name: fixed for name in FIXED}
)
