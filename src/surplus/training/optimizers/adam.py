"""Adam."""

from dataclasses import dataclass
from typing import ClassVar

from surplus.base import register
from surplus.training.optimizer import Optimizer, Update
from surplus.training.optimizers.moments import adapt_


@register("adam")
@dataclass(frozen=True, kw_only=True, slots=True)
class Adam(Optimizer):
    """Steps scaled by running moments of the gradient; weight decay is part of the gradient, as in `torch.optim.Adam`.

    Reference: kingma2015adam, Algorithm 1.
    """

    references: ClassVar = ("kingma2015adam",)
    slots: ClassVar = ("first", "second")

    learning_rate: float = 1e-3
    """The size of a step, before the schedule."""
    betas: tuple[float, float] = (0.9, 0.999)
    """How much of the first and second moment is kept."""
    epsilon: float = 1e-8
    """Added to the root of the second moment."""
    weight_decay: float = 0.0
    """The strength of L2 regularisation: this times the weight is added to the gradient."""

    def update(self, update: Update) -> None:
        """Change the parameters and the slots in place."""
        update.decay_()
        direction = adapt_(update, self.betas, self.epsilon)
        update.parameters.addcmul_(direction, update.rates, value=-1)
