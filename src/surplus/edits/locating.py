"""Locating: at which operator two models part, in words for a message."""

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from surplus.units import Place, Places, evaluating, left_as_found, plain_kernels, source_line

APART = 1e-6


def where_apart(
    reference: nn.Module,
    edited: nn.Module,
    positional: tuple[Any, ...],
    named: Mapping[str, Any],
    held: str = "",
) -> str:
    """Say at which operator, module and line an edited model first gives another thing of the same shape, or fails.

    What has another shape there belongs to units that one of them does not have, and says nothing.

    Args:
        reference: The model that it should equal.
        edited: The edited model.
        positional: The positional arguments that both are called with.
        named: The keyword arguments.
        held: Under what name the reference holds the model that is named in messages, if it does.
    """
    expected: dict[Place, list[Tensor]] = {}
    for model in (reference, edited):
        places = Places()
        prefix = held if model is reference else ""
        watch = _Watch(places, expected, model is edited, prefix)
        try:
            with (
                torch.no_grad(),
                evaluating(model),
                left_as_found(model),
                plain_kernels(model),
                places.watching(model),
                watch,
            ):
                model(*positional, **named)
        except Exception:
            return f" It fails at {watch.now}."
        if watch.apart:
            return f" They part at {watch.apart}."
    return ""


@final
class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps what every operator returns, or compares it with what was kept."""

    def __init__(
        self, places: Places, expected: dict[Place, list[Tensor]], comparing: bool, held: str
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = "its first line"
        self.apart = ""
        self._places, self._expected = places, expected
        self._comparing, self._held = comparing, held

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        place = self._places.next(operator)
        name = place.module.removeprefix(self._held).removeprefix("." if self._held else "")
        place = place._replace(module=name)
        module = f" in `{place.module}`" if place.module else ""
        self.now = f"`{operator.overloadpacket}`{module}{source_line()}"
        outputs = operator(*args, **(kwargs or {}))
        found = [e for e in tree_leaves(outputs) if isinstance(e, Tensor) and e.is_floating_point()]
        if not self._comparing:
            self._expected[place] = [each.clone() for each in found]
        elif not self.apart and any(map(_differ, found, self._expected.get(place, []))):
            self.apart = self.now
        return outputs


def _differ(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or not one.numel():
        return False
    scale = max(1.0, float(other.abs().max()))
    return not float((one - other).abs().max()) <= APART * scale
