"""Tapping: seeing what one operator returns while a model runs, without leaving a trace."""

from collections.abc import Mapping, Sequence
from typing import Any, final

from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from surplus.units.group import Tap
from surplus.units.tracing import plain_kernels


def tapped(
    model: nn.Module, tap: Tap, positional: Sequence[Any], named: Mapping[str, Any]
) -> Float[Tensor, "units values"]:
    """Run a model, and return what each unit of a group emits: over its own positions, then all others in order.

    Args:
        model: The model on which the units were found, or one of the same shape.
        tap: Where they are seen.
        positional: The positional arguments that the model is called with.
        named: The keyword arguments.
    """
    with plain_kernels(model), _Tapped(tap.operator) as seen:
        model(*positional, **named)
    output = seen.output
    chosen = output.index_select(tap.axis, tap.index.reshape(-1).to(output.device))
    return chosen.movedim(tap.axis, 0).reshape(len(tap.index), -1)


@final
class _Tapped(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps what the operator of a number returns."""

    output: Tensor

    def __init__(self, operator: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._countdown = operator

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = operator(*args, **(kwargs or {}))
        self._countdown -= 1
        if self._countdown == 0:
            first = result if isinstance(result, Tensor) else result[0]
            # What works in place later must not change what was seen.
            self.output = first.clone()
        return result
