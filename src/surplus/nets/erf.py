"""The error function as an activation."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Erf(nn.Module):
    """g(x) = erf(x / sqrt(2)), for which averages over Gaussian inputs have closed forms."""

    def forward(self, inputs: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return g of every entry."""
        return torch.erf(inputs / math.sqrt(2))
