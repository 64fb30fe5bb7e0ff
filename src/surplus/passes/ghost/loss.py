"""Losses, one per example."""

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
"""What outputs and targets make: a loss per example, [batch]."""


def cross_entropies(outputs: Tensor, targets: Tensor) -> Float[Tensor, " batch"]:
    """Return the cross-entropy of each example, summed over its positions where it has several.

    Args:
        outputs: Logits [batch, classes], or [batch, classes, ...] with targets [batch, ...].
        targets: The classes.

    Example:
        >>> import torch
        >>> [round(each, 4) for each in cross_entropies(torch.zeros(2, 4), torch.tensor([0, 3])).tolist()]
        [1.3863, 1.3863]
    """
    losses = F.cross_entropy(outputs, targets, reduction="none")
    return losses.flatten(1).sum(1) if losses.dim() > 1 else losses
