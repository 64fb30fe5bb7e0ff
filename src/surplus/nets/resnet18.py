"""ResNet-18."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from surplus.base import Net, register
from surplus.nets.basic_block import BasicBlock
from surplus.nets.initialisation import kaiming_
from surplus.nets.layers import scaled
from surplus.nets.resnet import ResNet, projection
from surplus.nets.stem import Stem, is_small


@register("resnet-18")
@dataclass(frozen=True, kw_only=True, slots=True)
class ResNet18(Net):
    """Four stages of two basic blocks, 64-128-256-512 wide, with the module names of torchvision.

    Reference: he2016deep, Table 1, column 18-layer; shortcuts that change shape are projections (option B).
    The stem for images below 64 pixels, one 3x3 convolution without pooling, is usual but not in the paper.

    Example:
        >>> net = ResNet18().build((3, 224, 224), 1000, seed=0)
        >>> sum(p.numel() for p in net.parameters())
        11689512
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
            BasicBlock,
            (2, 2, 2, 2),
            widths,
            input_shape[0],
            num_classes,
            small=small,
            shortcut=projection,
        )
        kaiming_(model, seed)
        return model
