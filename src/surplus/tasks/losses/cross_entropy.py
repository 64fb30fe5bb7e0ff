"""Cross-entropy: the loss of classification, unless a task says otherwise."""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from surplus.base import InvalidArgument, Loss, register
from surplus.base.loss import Reduction


@register("cross-entropy")
@dataclass(frozen=True, kw_only=True, slots=True)
class CrossEntropy(Loss):
    """-log of the softmax at the label, in nats.

    Reference: own; decisions/0020-losses.md.
    """

    def of(
        self,
        outputs: Float[Tensor, "_ outputs *more"],
        targets: Shaped[Tensor, "_ ..."],
        reduction: Reduction = "mean",
    ) -> Float[Tensor, "..."]:
        """Return the losses; see `Loss.of`.

        Example:
            >>> import torch
            >>> float(CrossEntropy().of(torch.zeros(1, 2), torch.tensor([1])))  # log 2
            0.6931471824645996
        """
        if targets.is_floating_point():
            raise InvalidArgument(
                f"Cross-entropy compares with labels, one whole number for each example; the targets are"
                f" {targets.dtype} of shape {tuple(targets.shape)}. For numbers to come near take `SquaredError()`."
            )
        return F.cross_entropy(outputs, targets, reduction=reduction)


CROSS_ENTROPY = CrossEntropy()
"""The neutral choice."""
