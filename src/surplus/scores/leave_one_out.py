"""The ranking behind the leave-one-out criteria: every single removal from what is left, exactly."""

from collections.abc import Callable
from typing import final

from jaxtyping import Float
from torch import Tensor

from surplus.passes import Removals, Singles
from surplus.scores.layer import Layer


@final
class LeaveOneOut:
    """Values of all single removals; the data pass through the first layers only once."""

    def __init__(self, layer: Layer, value: Callable[[Singles], Float[Tensor, " units"]]) -> None:
        self._removals = Removals(layer.model, layer.units, layer.name, layer.examples())
        self._value = value
        self._kept = layer.kept.clone()
        self._scores: Float[Tensor, " units"] | None = None

    @property
    def scores(self) -> Float[Tensor, " units"]:
        """The values now."""
        if self._scores is None:
            self._scores = self._value(self._removals.singles(self._kept))
        return self._scores

    def remove(self, unit: int) -> None:
        """Take one unit out."""
        self._kept[unit] = False
        self._scores = None
