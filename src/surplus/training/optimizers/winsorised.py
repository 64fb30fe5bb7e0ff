"""The mean of the gradients of single examples, their extremes clipped."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument, register
from surplus.training.optimizer import Optimizer, Update
from surplus.training.optimizers.sgd import SGD
from surplus.training.wrapper import Wrapper, check_undivided


@register("winsorised")
@dataclass(frozen=True, kw_only=True, slots=True)
class Winsorised(Wrapper):
    """Each coordinate of the gradient is the winsorised mean over the examples of the batch.

    The c lowest of the m values of a coordinate are raised to the next one, the c highest are lowered to the next one,
    then all are averaged; c = 0 is the optimiser inside, bit for bit. What no more than c examples ask for is not done.

    Reference: chatterjee2022generalization, winsorised gradients.
    The gradients of the examples come one after another; only c + 1 at either end are held, not all m. A network that
    normalises over the batch has no gradients of single examples and is refused.
    """

    references: ClassVar = ("chatterjee2022generalization",)

    inner: Optimizer = SGD()
    """The optimiser that takes the steps."""
    num_clipped: int = 1
    """How many of the lowest values of each coordinate, and of the highest, are clipped."""

    def __post_init__(self) -> None:
        if self.num_clipped < 0:
            raise InvalidArgument(f"`num_clipped` is {self.num_clipped}; it must not be negative.")
        check_undivided(self)

    def num_groups(self, batch_size: int) -> int:
        """Return the number of examples, unless nothing is clipped."""
        if batch_size <= 2 * self.num_clipped:
            raise InvalidArgument(
                f"`num_clipped` is {self.num_clipped} at either end, but a batch holds only {batch_size} examples:"
                " something must be left between them."
            )
        return batch_size if self.num_clipped else self.inner.num_groups(batch_size)

    def combine(
        self, gradients: Iterable[Float[Tensor, "replicas params"]]
    ) -> Float[Tensor, "replicas params"]:
        """Return the winsorised mean of each coordinate."""
        size = self.num_clipped + 1
        lowest: list[Tensor] = []
        highest: list[Tensor] = []
        between: Tensor | None = None
        count = 0
        for gradient in gradients:
            count += 1
            # What the lowest push out may be one of the highest; what these push out is neither.
            if _taken(lowest, gradient, size, torch.minimum, torch.maximum):
                continue
            if _taken(highest, gradient, size, torch.maximum, torch.minimum):
                continue
            between = gradient.clone() if between is None else between.add_(gradient)
        if count < 2 * size:  # only the median is left between the clipped ones
            return lowest[-1]
        ends = (lowest[-1] + highest[-1]).mul_(size)
        return (ends if between is None else ends.add_(between)).div_(count)

    def update(self, update: Update) -> None:
        """Change the parameters and the slots in place."""
        self.inner.update(update)


def _taken(
    kept: list[Tensor],
    values: Float[Tensor, "replicas params"],
    size: int,
    nearer: Callable[..., Tensor],
    farther: Callable[..., Tensor],
) -> bool:
    """Sort values in among the kept ones, coordinate by coordinate; leave what falls out in their place.

    Returns:
        Whether nothing fell out, since there was still room.
    """
    spare = torch.empty_like(values)
    for place, each in enumerate(kept):
        nearer(each, values, out=spare)
        farther(each, values, out=values)
        kept[place], spare = spare, each
    if len(kept) == size:
        return False
    kept.append(values.clone())
    return True
