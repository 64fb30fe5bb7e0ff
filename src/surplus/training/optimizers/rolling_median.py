"""The median of the last three gradients."""

from dataclasses import dataclass, replace
from typing import ClassVar

from surplus.base import register
from surplus.training.optimizer import Optimizer, Update
from surplus.training.optimizers.medians import median_of_three_
from surplus.training.optimizers.sgd import SGD
from surplus.training.wrapper import Wrapper

INNER = "inner."  # before the names of the slots of the optimiser inside


@register("rolling-median")
@dataclass(frozen=True, kw_only=True, slots=True)
class RollingMedian(Wrapper):
    """RM3: each coordinate of the gradient is the median of those of this batch and the two before.

    It attenuates directions that only a few examples support, as the median of three groups does, without a backward
    pass more: what it takes is the memory of two gradients.

    Reference: chatterjee2022generalization, the rolling median of three, RM3.
    The first two updates take the gradient as it is.
    """

    references: ClassVar = ("chatterjee2022generalization",)

    inner: Optimizer = SGD()
    """The optimiser that takes the steps."""

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the state buffers: gradients of even and odd updates, and what the optimiser inside has."""
        return ("even", "odd", *(f"{INNER}{name}" for name in self.inner.slots))

    def update(self, update: Update) -> None:
        """Change the parameters and the slots in place."""
        even, odd = update.slots["even"], update.slots["odd"]
        oldest = odd if update.count % 2 else even
        gradient = update.gradients.clone()
        if update.count > 2:
            median_of_three_(even, odd, update.gradients)
        oldest.copy_(gradient)
        inner = {name: update.slots[INNER + name] for name in self.inner.slots}
        self.inner.update(replace(update, slots=inner))
