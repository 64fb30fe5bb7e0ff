"""`Layer`: all that a criterion may look at when it scores the units of one layer."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

from jaxtyping import Bool, Float
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.passes import Data, Downstream, activations
from surplus.units import Group, Units


@final
@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of a model, its units, and the data to judge them by."""

    model: nn.Module
    units: Units
    name: str
    kept: Bool[Tensor, " units"]
    """The units that are still there; a criterion's value for the others does not matter."""
    data: Data | None = None

    @property
    def group(self) -> Group:
        """The layer's units with all their slots."""
        return self.units[self.name]

    @cached_property
    def weight_vectors(self) -> Float[Tensor, "units fan_in"]:
        """Each unit's incoming weights, in single precision at least: a norm of halves overflows."""
        return _at_least_single(self.units.weight_vectors(self.name, self.model))

    @cached_property
    def outgoing(self) -> Float[Tensor, "units fan_out"]:
        """Each unit's outgoing weights, in single precision at least."""
        return _at_least_single(self.units.outgoing(self.name, self.model))

    def examples(self) -> Data:
        """Return the data.

        Raises:
            InvalidArgument: none were given.
        """
        if self.data is None:
            raise InvalidArgument(
                "This criterion looks at activations or losses and needs data: pass `data=`,"
                " a part of a task or batches of (inputs, targets)."
            )
        return self.data

    def activations(self) -> Iterator[Float[Tensor, "batch units positions"]]:
        """Yield the units' outputs after their activation function, batch by batch, in evaluation mode.

        Raises:
            InvalidArgument: there are no data, or the units' outputs never lie along one axis.
        """
        data = self.examples()
        if self.group.tap is None:
            raise InvalidArgument(
                f"The outputs of `{self.name}`'s units never lie along one axis, so they cannot be looked at."
                " Use a criterion of weights or of losses."
            )
        return activations(self.model, self.group.tap, data)

    @cached_property
    def downstream(self) -> Downstream | None:
        """The chain taken apart at this layer, or None where that cannot be; see `Downstream.of`."""
        return Downstream.of(self.model, self.units, self.name)

    def without(self, unit: int) -> "Layer":
        """Return the layer with one unit less; the model's weights stay as they are."""
        kept = self.kept.clone()
        kept[unit] = False
        return replace(self, kept=kept)


def _at_least_single(vectors: Float[Tensor, "units slice"]) -> Float[Tensor, "units slice"]:
    return vectors if vectors.dtype.itemsize > 2 else vectors.float()
