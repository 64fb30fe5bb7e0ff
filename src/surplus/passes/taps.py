"""Taps: seeing what an operator returns while a model runs, without leaving a trace."""

from collections.abc import Iterator
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from surplus.base import InvalidArgument
from surplus.passes.data import Data, batches
from surplus.units import Place, Places, Tap, evaluating, plain_kernels


def activations(
    model: nn.Module, tap: Tap, data: Data
) -> Iterator[Float[Tensor, "batch units positions"]]:
    """Yield the activations of a group's units, batch by batch, in evaluation mode.

    Args:
        model: The model on which the units were found, or one of the same shape.
        tap: Where they are seen.
        data: The inputs.

    Raises:
        InvalidArgument: the model does not come by there on these data.
    """
    with torch.no_grad(), evaluating(model):
        for inputs, _ in batches(data, model):
            places = Places()
            with plain_kernels(model), places.watching(model), _Tapped(tap.place, places) as seen:
                model(inputs)
            output = seen.output
            if output is None:
                raise InvalidArgument(
                    f"On these data the model takes another path than on the example: in `{tap.place.module}`,"
                    f" `{tap.place.operator}` does not run, where the units are seen."
                )
            chosen = output.index_select(tap.axis, tap.index.reshape(-1).to(output.device))
            by_unit = chosen.movedim(tap.axis, 0).reshape(*tap.index.shape, len(inputs), -1)
            yield by_unit.permute(2, 0, 1, 3).flatten(2)


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
