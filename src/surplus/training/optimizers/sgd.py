"""Stochastic gradient descent with momentum."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from surplus.base import InvalidArgument, register
from surplus.training.optimizer import Optimizer, Update, check_rates


@register("sgd")
@dataclass(frozen=True, kw_only=True, slots=True)
class SGD(Optimizer):
    """v <- momentum v + g, w <- w - learning_rate v, as `torch.optim.SGD` does it.

    Reference: sutskever2013initialization, Section 2, for momentum and Nesterov's form of it.
    The learning rate multiplies the velocity, not the gradient that enters it.
    """

    references: ClassVar = ("sutskever2013initialization",)
    slots: ClassVar = ("momentum",)

    learning_rate: float = 0.1
    """The size of a step, before the schedule."""
    momentum: float = 0.0
    """How much of the last direction is kept."""
    nesterov: bool = False
    """Look ahead along the momentum."""
    weight_decay: float = 0.0
    """The strength of L2 regularisation: this times the weight is added to the gradient."""

    def __post_init__(self) -> None:
        check_rates(self)
        if not 0 <= self.momentum < 1:
            raise InvalidArgument(f"`momentum` is {self.momentum}; it must lie in [0, 1).")
        if self.nesterov and not self.momentum:
            raise InvalidArgument("`nesterov` needs a `momentum` greater than 0.")

    def update(self, update: Update) -> None:
        """Change the parameters and the slots in place."""
        direction = update.decay_()
        if self.momentum:
            velocity = update.slots["momentum"]
            torch.add(direction, velocity, alpha=self.momentum, out=velocity)
            direction = direction.add_(velocity, alpha=self.momentum) if self.nesterov else velocity
        update.parameters.addcmul_(direction, update.rates, value=-1)
