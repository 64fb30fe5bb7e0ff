"""ResNet-50."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from surplus.base import Net, register
from surplus.nets.bottleneck import Bottleneck
from surplus.nets.initialisation import kaiming_
from surplus.nets.layers import scaled
from surplus.nets.resnet import ResNet, projection
from surplus.nets.stem import Stem, is_small


@register("resnet-50")
@dataclass(frozen=True, kw_only=True, slots=True)
class ResNet50(Net):
    """Four stages of 3, 4, 6 and 3 bottlenecks, 64-128-256-512 wide, with the module names of torchvision.

    Reference: he2016deep, Table 1, column 50-layer; strides are in the 3x3 convolutions (goyal2017accurate).
    The stem for images below 64 pixels, one 3x3 convolution without pooling, is usual but not in the paper.
    """

    references: ClassVar = ("he2016deep", "he2015delving", "goyal2017accurate")

    width: float = 1.0
    """Multiplies the number of units of every hidden layer."""
    stem: Stem | None = None
    """How images are taken in: "small" leaves out the first two reductions; None does so below 64 pixels."""

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Module:
        """Return the network at initialisation; see `Net.build`."""
        small = is_small(self.stem, input_shape)
        widths = [scaled(width, self.width) for width in (64, 128, 256, 512)]
        model = ResNet(
            Bottleneck,
            (3, 4, 6, 3),
            widths,
            input_shape[0],
            num_classes,
            small=small,
            shortcut=projection,
        )
        kaiming_(model, seed)
        return model
