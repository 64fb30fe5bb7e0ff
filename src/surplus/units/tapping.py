"""Tapping: seeing what one operator returns while a model runs, without leaving a trace."""

from collections.abc import Mapping, Sequence
from typing import Any, final

from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from surplus.base import InvalidArgument
from surplus.units.group import Tap
from surplus.units.places import Place, Places
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

    Raises:
        InvalidArgument: the model does not come by there on these data.
    """
    places = Places()
    with plain_kernels(model), places.watching(model), _Tapped(tap.place, places) as seen:
        model(*positional, **named)
    output = seen.output
    if output is None:
        raise InvalidArgument(
            f"On these data the model takes another path than on the example: in `{tap.place.module}`,"
            f" `{tap.place.operator}` does not run, where the units are seen."
        )
    chosen = output.index_select(tap.axis, tap.index.reshape(-1).to(output.device))
    return chosen.movedim(tap.axis, 0).reshape(len(tap.index), -1)


@final
class _Tapped(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps what the operator of a place returns."""

    def __init__(self, place: Place, places: Places) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.output: Tensor | None = None
        self._place, self._places = place, places

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = operator(*args, **(kwargs or {}))
        if self._places.next(operator) == self._place:
            first = result if isinstance(result, Tensor) else result[0]
            # What works in place later must not change what was seen.
            self.output = first.clone()
        return result
