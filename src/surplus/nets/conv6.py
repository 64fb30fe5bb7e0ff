"""Conv-6: a small VGG-like network of the lottery-ticket literature."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from surplus.base import Net, register
from surplus.nets.conv_net import conv_net


@register("conv-6")
@dataclass(frozen=True, kw_only=True, slots=True)
class Conv6(Net):
    """3x3 convolutions 64-64-pool, 128-128-pool, 256-256-pool, then dense 256-256-classes, with rectifiers.

    Reference: frankle2019lottery, Figure 2.
    """

    references: ClassVar = ("frankle2019lottery", "glorot2010understanding")

    width: float = 1.0
    """Multiplies the number of units of every hidden layer."""
    bias: bool = True
    """Whether layers have biases (zero at first)."""

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Sequential:
        """Return the network at initialisation; see `Net.build`."""
        return conv_net((64, 128, 256), self.width, self.bias, input_shape, num_classes, seed)
