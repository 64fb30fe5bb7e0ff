"""Cross-entropy whose derivatives keep their digits when the network is certain."""

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument

IGNORED = -100  # the label that PyTorch's cross-entropy leaves out


def summed_cross_entropy(
    outputs: Float[Tensor, "batch classes *positions"], targets: Tensor
) -> Float[Tensor, ""]:
    """Return the cross-entropy in nats, summed over examples (and over positions, where there are any).

    The value is that of `torch.nn.functional.cross_entropy(..., reduction="sum")`. There, 1 - p of a certain class is
    computed by subtraction and has no correct digit left once p rounds to 1, in the second derivative too. Here
    everything is written in terms of the other classes' gaps to the largest output, which are exact.

    Args:
        outputs: The network's outputs before the softmax; classes are the second axis.
        targets: Labels [batch, *positions], -100 where nothing counts; or probabilities shaped like the outputs.

    Raises:
        InvalidArgument: the shapes do not fit.
    """
    labels = not targets.is_floating_point()
    expected = (*outputs.shape[:1], *outputs.shape[2:]) if labels else tuple(outputs.shape)
    if outputs.ndim < 2 or tuple(targets.shape) != expected:
        raise InvalidArgument(
            f"The outputs have shape {tuple(outputs.shape)} and the targets {tuple(targets.shape)}; the cross-entropy"
            " needs outputs [batch, classes] and one label per example (or [batch, classes, positions] and labels"
            " [batch, positions])."
        )
    top = outputs.argmax(1, keepdim=True)
    gaps = outputs - outputs.gather(1, top)
    total = gaps.exp().scatter(1, top, 0.0).sum(1).log1p()
    if not labels:
        return (targets.sum(1) * total - (targets * gaps).sum(1)).sum()
    counted = targets != IGNORED
    chosen = gaps.gather(1, torch.where(counted, targets, 0).unsqueeze(1)).squeeze(1)
    return ((total - chosen) * counted).sum()
