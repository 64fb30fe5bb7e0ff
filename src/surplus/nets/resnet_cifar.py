"""The thin residual networks for 32x32 images: ResNet-20, 32, 44, 56 and 110."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from surplus.base import InvalidArgument, Net, register
from surplus.nets.basic_block import BasicBlock
from surplus.nets.initialisation import kaiming_
from surplus.nets.layers import scaled
from surplus.nets.resnet import ResNet
from surplus.nets.stem import check_images
from surplus.nets.zero_shortcut import ZeroShortcut


@register("resnet-cifar")
@dataclass(frozen=True, kw_only=True, slots=True)
class ResNetCIFAR(Net):
    """Three stages of basic blocks, 16-32-64 wide, with shortcuts that have no parameters.

    Reference: he2016deep, Section 4.2. Larger images are taken in the same way, as the mean is over whatever is left.

    Example:
        >>> net = ResNetCIFAR(depth=20).build((3, 32, 32), 10, seed=0)
        >>> sum(p.numel() for p in net.parameters())
        269722
    """

    references: ClassVar = ("he2016deep", "he2015delving", "goyal2017accurate")

    depth: int = 20
    """The number of layers with weights: 6n + 2 for n blocks in each stage."""
    width: float = 1.0
    """Multiplies the number of units of every hidden layer."""

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Module:
        """Return the network at initialisation; see `Net.build`.

        Raises:
            InvalidArgument: no whole number of blocks makes the depth, or the inputs are no images.
        """
        num_blocks, rest = divmod(self.depth - 2, 6)
        if rest or num_blocks < 1:
            raise InvalidArgument(
                f"`depth` is {self.depth}; it must be 6n + 2, as 20, 32, 44, 56 and 110 are."
            )
        check_images(input_shape)
        widths = [scaled(width, self.width) for width in (16, 32, 64)]
        model = ResNet(
            BasicBlock,
            (num_blocks,) * 3,
            widths,
            input_shape[0],
            num_classes,
            small=True,
            shortcut=ZeroShortcut,
        )
        kaiming_(model, seed)
        return model
