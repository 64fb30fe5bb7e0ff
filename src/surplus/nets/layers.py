"""The pieces that nets are assembled from: named layers with Gaussian Glorot weights."""

import math
from collections import OrderedDict
from typing import final

import torch
from torch import nn

from surplus.base import InvalidArgument, derive


@final
class Chain:
    """Collects named layers; each draws its initial weights from its own stream under the seed.

    Glorot normal: standard deviation sqrt(2 / (fan_in + fan_out)), biases zero.

    Reference: glorot2010understanding, Section 4.2.1; drawn from a Gaussian instead of a uniform distribution.
    """

    def __init__(self, input_shape: tuple[int, ...], seed: int, *, bias: bool) -> None:
        self.seed = seed
        self.bias = bias
        self.shape = input_shape
        self.layers: OrderedDict[str, nn.Module] = OrderedDict()

    def linear(self, name: str, width: int) -> None:
        """Add a dense layer, and a flatten before it where the input is an image."""
        if len(self.shape) > 1:
            self.layers["flatten"] = nn.Flatten()
            self.shape = (math.prod(self.shape),)
        self._add(name, nn.Linear(self.shape[0], width, bias=self.bias))
        self.shape = (width,)

    def conv(self, name: str, width: int, kernel: int = 3) -> None:
        """Add a convolution that keeps the height and width."""
        layer = nn.Conv2d(self.shape[0], width, kernel, padding=kernel // 2, bias=self.bias)
        self._add(name, layer)
        self.shape = (width, *self.shape[1:])

    def batch_norm(self, name: str) -> None:
        """Add a batch normalisation over the channels."""
        self.layers[name] = nn.BatchNorm2d(self.shape[0])

    def relu(self, name: str) -> None:
        """Add a rectifier."""
        self.layers[name] = nn.ReLU()

    def dropout(self, name: str, rate: float) -> None:
        """Add dropout where the rate is not zero."""
        if rate:
            self.layers[name] = nn.Dropout(rate)

    def pool(self, name: str, kernel: int = 2, stride: int = 2, padding: int = 0) -> None:
        """Add a max-pooling."""
        self.layers[name] = nn.MaxPool2d(kernel, stride, padding)
        sides = ((side + 2 * padding - kernel) // stride + 1 for side in self.shape[1:])
        self.shape = (self.shape[0], *sides)

    def build(self) -> nn.Sequential:
        """Return the layers as one module."""
        return nn.Sequential(self.layers)

    def _add(self, name: str, layer: nn.Linear | nn.Conv2d) -> None:
        weight = layer.weight
        area = weight[0, 0].numel() if weight.dim() > 2 else 1
        std = math.sqrt(2 / (area * (weight.shape[0] + weight.shape[1])))
        generator = torch.Generator().manual_seed(derive(self.seed, "init", name))
        with torch.no_grad():
            weight.normal_(0, std, generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()
        self.layers[name] = layer


def scaled(width: int, factor: float) -> int:
    """Return a layer's width times the multiplier, at least one.

    Raises:
        InvalidArgument: the multiplier is not positive.

    Example:
        >>> scaled(300, 0.5), scaled(3, 0.1)
        (150, 1)
    """
    if not factor > 0:
        raise InvalidArgument(f"`width` is {factor}; it is a multiplier and must be positive.")
    return max(1, round(width * factor))
