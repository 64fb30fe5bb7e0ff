"""AdamW: Adam with weight decay kept out of the moments."""

from dataclasses import dataclass
from typing import ClassVar

from surplus.base import register
from surplus.training.optimizer import Optimizer, Update
from surplus.training.optimizers.moments import adapt_


@register("adamw")
@dataclass(frozen=True, kw_only=True, slots=True)
class AdamW(Optimizer):
    """Adam in which each step also shrinks the weights by learning_rate x weight_decay, as in `torch.optim.AdamW`.

    Reference: loshchilov2019decoupled, Algorithm 2.
    """

    references: ClassVar = ("loshchilov2019decoupled", "kingma2015adam")
    slots: ClassVar = ("first", "second")

    learning_rate: float = 1e-3
    """The size of a step, before the schedule."""
    betas: tuple[float, float] = (0.9, 0.999)
    """How much of the first and second moment is kept."""
    epsilon: float = 1e-8
    """Added to the root of the second moment."""
    weight_decay: float = 0.01
    """The share of the weight that a step at learning rate 1 would take away."""

    def update(self, update: Update) -> None:
        """Change the parameters and the slots in place."""
        update.parameters.mul_(1 - update.rates * update.decays)
        direction = adapt_(update, self.betas, self.epsilon)
        update.parameters.addcmul_(direction, update.rates, value=-1)
