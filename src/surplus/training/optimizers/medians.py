"""The median that the optimisers on three gradients share."""

import torch
from jaxtyping import Float
from torch import Tensor


def median_of_three_(
    first: Float[Tensor, "replicas params"],
    second: Float[Tensor, "replicas params"],
    third: Float[Tensor, "replicas params"],
) -> Float[Tensor, "replicas params"]:
    """In place of the third: the median of each coordinate, max(min(a, b), min(max(a, b), c)), without a sort."""
    higher = torch.maximum(first, second)
    torch.minimum(higher, third, out=third)
    lower = torch.minimum(first, second, out=higher)
    return torch.maximum(lower, third, out=third)
