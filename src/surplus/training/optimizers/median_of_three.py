"""The median of the gradients of three groups of examples."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument, register
from surplus.training.optimizer import Optimizer, Update
from surplus.training.optimizers.medians import median_of_three_
from surplus.training.optimizers.sgd import SGD
from surplus.training.wrapper import Wrapper, check_undivided


@register("median-of-three")
@dataclass(frozen=True, kw_only=True, slots=True)
class MedianOfThree(Wrapper):
    """M3: each batch is divided in three, and each coordinate of the gradient is the median of the three means.

    A direction that only a few examples support has them in one group and is outvoted by the other two, so that
    memorising single examples becomes hard.

    Reference: chatterjee2022generalization, the median of three groups, M3.
    Groups are consecutive thirds of the shuffled batch; where it cannot be divided by three they differ by one
    example, and their means count alike. Batch normalisation sees each group alone.
    """

    references: ClassVar = ("chatterjee2022generalization",)

    inner: Optimizer = SGD()
    """The optimiser that takes the steps."""

    def __post_init__(self) -> None:
        check_undivided(self)

    def num_groups(self, batch_size: int) -> int:
        """Return three."""
        if batch_size < 3:
            raise InvalidArgument(
                f"`batch_size` is {batch_size}; `median-of-three` needs at least 3 examples in a batch."
            )
        return 3

    def combine(
        self, gradients: Iterable[Float[Tensor, "replicas params"]]
    ) -> Float[Tensor, "replicas params"]:
        """Return the median of each coordinate."""
        first, second, third = (gradient.clone() for gradient in gradients)
        return median_of_three_(first, second, third)

    def update(self, update: Update) -> None:
        """Change the parameters and the slots in place."""
        self.inner.update(update)
