"""Dense and convolutional layers without biases, drawn from a Gaussian or held fixed."""

from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from surplus.base import derive

L = TypeVar("L", nn.Linear, nn.Conv2d)


def drawn(layer: L, name: str, std: float, seed: int) -> L:
    """In place: draw a layer's weights from a Gaussian, from the stream of its name under the seed."""
    generator = torch.Generator().manual_seed(derive(seed, "init", name))
    with torch.no_grad():
        layer.weight.normal_(0, std, generator=generator)
    return layer


def fixed(weight: Float[Tensor, "outputs inputs"]) -> nn.Linear:
    """Return a layer with these weights, which training leaves as they are."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


def signed(count: int, size: float) -> Float[Tensor, "2 count"]:
    """Return the weights of two outputs (0, N), where N adds the first half of the units and subtracts the second."""
    signs = torch.ones(count)
    signs[count // 2 :] = -1
    return torch.stack([torch.zeros(count), size * signs])
