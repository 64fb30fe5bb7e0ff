"""What the optimisers that wrap another one share."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument
from surplus.training.optimizer import Optimizer

ANY_SIZE = 1 << 40  # a batch that can be divided in as many groups as anybody likes


class Wrapper(Optimizer):
    """Changes the gradients, and hands them to the optimiser that it holds, which has the rates."""

    __slots__ = ()

    inner: Optimizer
    """The optimiser that takes the steps."""

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the state buffers."""
        return self.inner.slots

    @property
    def learning_rate(self) -> float:
        """The size of a step, before the schedule."""
        return self.inner.learning_rate

    @property
    def weight_decay(self) -> float:
        """The strength of the decay."""
        return self.inner.weight_decay

    def with_rates(self, learning_rate: float, weight_decay: float) -> Optimizer:
        """Return this optimiser with another learning rate and weight decay."""
        inner = self.inner.with_rates(learning_rate, weight_decay)
        changed: Optimizer = cast(Any, replace)(self, inner=inner)
        return changed

    def num_groups(self, batch_size: int) -> int:
        """Return in how many groups of examples a batch is divided."""
        return self.inner.num_groups(batch_size)

    def combine(
        self, gradients: Iterable[Float[Tensor, "replicas params"]]
    ) -> Float[Tensor, "replicas params"]:
        """Return one gradient for those of the groups."""
        return self.inner.combine(gradients)


def check_undivided(wrapper: Wrapper) -> None:
    """Refuse to divide a batch that the optimiser inside divides, too.

    Raises:
        InvalidArgument: it does.
    """
    if wrapper.inner.num_groups(ANY_SIZE) > 1:
        raise InvalidArgument(
            f"`{wrapper.kind}` and the optimiser that it holds both divide the batch in groups; use one of them."
        )
