"""The family of optimisers: one update of all replicas' parameters at once."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, cast, final

from jaxtyping import Float
from torch import Tensor

from surplus.base import Family, InvalidArgument


@final
@dataclass(frozen=True, slots=True)
class Update:
    """What an optimiser works on, in place: one row per replica, one column per parameter entry."""

    parameters: Float[Tensor, "replicas params"]
    gradients: Float[Tensor, "replicas params"]
    slots: dict[str, Float[Tensor, "replicas params"]]
    """The optimiser's state, zero before the first update."""
    rates: Float[Tensor, "replicas 1"]
    """Each replica's learning rate, schedule included."""
    decays: Float[Tensor, "replicas 1"]
    """Each replica's weight decay."""
    has_decay: bool
    """Whether any replica has a weight decay other than 0."""
    count: int
    """How many updates this state has seen, this one included."""

    def decay_(self) -> Float[Tensor, "replicas params"]:
        """In place: add the weight decay to the gradients, as L2 regularisation does, and return them."""
        if self.has_decay:
            self.gradients.addcmul_(self.parameters, self.decays)
        return self.gradients


class Optimizer(Family):
    """Turns gradients into updates. Replicas of a fleet may differ in learning rate and weight decay, in nothing else.

    Every operation is element-wise on buffers of one fixed padded width, so that a replica's numbers do not depend on
    how many others train beside it.
    """

    __slots__ = ()

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the state buffers."""
        return ()

    @property
    def learning_rate(self) -> float:
        """The size of a step, before the schedule; each replica may have its own."""
        raise NotImplementedError

    @property
    def weight_decay(self) -> float:
        """The strength of the decay; each replica may have its own."""
        raise NotImplementedError

    def with_rates(self, learning_rate: float, weight_decay: float) -> "Optimizer":
        """Return this optimiser with another learning rate and weight decay."""
        changed: Optimizer = cast(Any, replace)(
            self, learning_rate=learning_rate, weight_decay=weight_decay
        )
        return changed

    def num_groups(self, batch_size: int) -> int:
        """Return in how many groups of examples a batch is divided, each of which gets a gradient of its own.

        Raises:
            InvalidArgument: the batch is too small to be divided.
        """
        return 1

    def combine(
        self, gradients: Iterable[Float[Tensor, "replicas params"]]
    ) -> Float[Tensor, "replicas params"]:
        """Return one gradient for those of the groups, where there are several.

        They come one after another in one buffer, which may be overwritten and which the next one overwrites.
        """
        (gradient,) = gradients
        return gradient

    @abstractmethod
    def update(self, update: Update) -> None:
        """Change the parameters and the slots in place; the gradients may be overwritten."""


def check_rates(optimizer: Optimizer) -> None:
    """Refuse a learning rate that is not positive or a weight decay below zero.

    Raises:
        InvalidArgument: one of them is.
    """
    if not optimizer.learning_rate > 0:
        raise InvalidArgument(f"`learning_rate` is {optimizer.learning_rate}; it must be positive.")
    if not optimizer.weight_decay >= 0:
        raise InvalidArgument(
            f"`weight_decay` is {optimizer.weight_decay}; it must not be negative."
        )
