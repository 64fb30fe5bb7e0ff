"""Tapping: seeing what chosen operators return while a model runs, without leaving a trace."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, final

from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from surplus.base import InvalidArgument
from surplus.units.group import Tap
from surplus.units.places import Place, Places
from surplus.units.tracing import plain_kernels

Receive = Callable[[str, Float[Tensor, "units values"]], None]


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
    found: list[Tensor] = []
    # What works in place later must not change what was seen.
    with tapping(model, {"": tap}, lambda _, values: found.append(values.clone())):
        model(*positional, **named)
    return found[0]


@contextmanager
def tapping(model: nn.Module, taps: Mapping[str, Tap], receive: Receive) -> Iterator[None]:
    """Within the context, hand on what units emit each time the model runs, as soon as it is there.

    Args:
        model: The model on which the units were found, or one of the same shape.
        taps: Where units are seen, by name. The model runs once within the context.
        receive: Is called with the name, and what each unit emits over its own positions, then all others in order. It
            has to copy what it wants to keep: operators that work in place may change it later.

    Raises:
        InvalidArgument: the model does not come by a tap on these data.
    """
    places = Places()
    seeing = _Tapping(taps, places, receive)
    with plain_kernels(model), places.watching(model), seeing:
        yield
    for tap in taps.values():
        if tap.place not in seeing.seen:
            raise InvalidArgument(
                f"On these data the model takes another path than on the example: in `{tap.place.module}`,"
                f" `{tap.place.operator}` does not run, where the units are seen."
            )


@final
class _Tapping(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Hands on what the operators at some places return."""

    def __init__(self, taps: Mapping[str, Tap], places: Places, receive: Receive) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: set[Place] = set()
        self._places, self._receive = places, receive
        self._taps: dict[Place, list[tuple[str, Tap]]] = {}
        for name, tap in taps.items():
            self._taps.setdefault(tap.place, []).append((name, tap))

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = operator(*args, **(kwargs or {}))
        place = self._places.next(operator)
        if place in self._taps:
            self.seen.add(place)
            first = result if isinstance(result, Tensor) else result[0]
            for name, tap in self._taps[place]:
                self._receive(name, _by_unit(first, tap))
        return result


def _by_unit(output: Float[Tensor, "..."], tap: Tap) -> Float[Tensor, "units values"]:
    """Return what an operator gave with the units' axis in front; a view where that can be."""
    moved = output.movedim(tap.axis, 0)
    units = tap.index.reshape(-1)
    if not bool((units == units.new_tensor(range(len(units)))).all()) or len(units) != len(moved):
        moved = moved.index_select(0, units.to(output.device))
    return moved.reshape(len(tap.index), -1)
