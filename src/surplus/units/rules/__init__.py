"""What each operator does to labels: one file per kind of operator.

A rule takes the flow, the operator, its arguments and the tensors that it returned, and says what each of these
carries. Operators that only move elements need no rule of their own: they are run on the labels. An operator that has
no rule is tried out, unit by unit; where that does not tell, it protects every unit that meets it, by name.
To add an operator: enter it in the table of the file whose kind it is.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from surplus.units.flow import Flow
from surplus.units.labels import Carried
from surplus.units.rules import (
    complex,
    contracting,
    convolving,
    creating,
    elementwise,
    indexing,
    joining,
    moving,
    normalising,
    patches,
    probed,
    products,
    reducing,
    resampling,
    scattering,
)

Rule = Callable[[Flow, Any, Sequence[Any], dict[str, Any], list[Tensor]], list[Carried]]
RULES: dict[str, Rule] = {
    **creating.RULES,
    **complex.RULES,
    **contracting.RULES,
    **convolving.RULES,
    **elementwise.RULES,
    **indexing.RULES,
    **joining.RULES,
    **moving.RULES,
    **normalising.RULES,
    **patches.RULES,
    **products.RULES,
    **reducing.RULES,
    **resampling.RULES,
    **scattering.RULES,
}


def rule_for(operator: Any) -> Rule:
    """Return the rule of an ATen operator; in-place forms have that of their functional twin."""
    name = operator._schema.name.removeprefix("aten::")
    rule = RULES.get(name) or RULES.get(name.removesuffix("_"))
    if rule is not None:
        return rule
    twin = getattr(torch.ops.aten, name.removesuffix("_"), None)
    tags = [*operator.tags, *(tag for each in _overloads(twin) for tag in each.tags)]
    if torch.Tag.pointwise in tags:
        return elementwise.elementwise
    if operator.is_view:
        return moving.move
    return unknown


def _overloads(packet: Any) -> list[Any]:
    return [] if packet is None else [getattr(packet, name) for name in packet.overloads()]


def unknown(
    flow: Flow, operator: Any, args: Sequence[Any], kwargs: dict[str, Any], outputs: list[Tensor]
) -> list[Carried]:
    """Try out an operator that has no rule, and protect whatever meets it if that does not tell what it does."""
    found = probed.probe(flow, operator, args, kwargs, outputs)
    if found is not None:
        return [found]
    for each in elementwise.tensors_in((args, kwargs)):
        flow.protect(flow.of(each), "they meet an operator that Surplus has no rule for")
    return [Carried() for _ in outputs]
