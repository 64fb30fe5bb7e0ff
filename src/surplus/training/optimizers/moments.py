"""The step that Adam and AdamW share."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.training.optimizer import Update


def adapt_(
    update: Update, betas: tuple[float, float], epsilon: float
) -> Float[Tensor, "replicas params"]:
    """In place: bring both moments up to date; return the bias-corrected first over the root of the second.

    The result lies in the gradients' buffer, which is free by then: fresh buffers of a network's size cost more in
    page faults than the arithmetic.
    """
    first, second = update.slots["first"], update.slots["second"]
    first.lerp_(update.gradients, 1 - betas[0])
    second.mul_(betas[1]).addcmul_(update.gradients, update.gradients, value=1 - betas[1])
    root = torch.sqrt(second, out=update.gradients)
    # (first / c1) / (root / r2 + epsilon), with both corrections in as few passes as possible
    correction = 1 - betas[0] ** update.count
    root.mul_(correction / math.sqrt(1 - betas[1] ** update.count)).add_(epsilon * correction)
    return torch.div(first, root, out=root)
