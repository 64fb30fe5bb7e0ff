"""A small AlexNet for 32x32 images."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from surplus.base import Net, register
from surplus.nets.layers import Chain, scaled


@register("alexnet-small")
@dataclass(frozen=True, kw_only=True, slots=True)
class AlexNetSmall(Net):
    """Two 5x5 convolutions with overlapping 3x3 max-pooling, then dense 384-192-classes.

    Reference: zhang2017understanding, Appendix A; without local response normalisation, 64 filters in both layers.
    """

    references: ClassVar = ("zhang2017understanding", "glorot2010understanding")

    width: float = 1.0
    """Multiplies the number of units of every hidden layer."""
    bias: bool = True
    """Whether layers have biases (zero at first)."""

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Sequential:
        """Return the network at initialisation; see `Net.build`."""
        chain = Chain(input_shape, seed, bias=self.bias)
        for number in (1, 2):
            chain.conv(f"conv{number}", scaled(64, self.width), kernel=5)
            chain.relu(f"relu{number}")
            chain.pool(f"pool{number}", kernel=3, stride=2, padding=1)
        for number, width in ((1, 384), (2, 192)):
            chain.linear(f"fc{number}", scaled(width, self.width))
            chain.relu(f"relu_fc{number}")
        chain.linear("fc3", num_classes)
        return chain.build()
