"""From one number for each example to their mean or sum."""

from jaxtyping import Float
from torch import Tensor

from surplus.base.loss import Reduction


def reduced(each: Float[Tensor, "*examples"], reduction: Reduction) -> Float[Tensor, "..."]:
    """Return the losses of examples as they are, or their mean or sum."""
    if reduction == "none":
        return each
    return each.mean() if reduction == "mean" else each.sum()
