"""Wide residual networks."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from surplus.base import InvalidArgument, Net, register
from surplus.nets.initialisation import kaiming_
from surplus.nets.layers import scaled
from surplus.nets.preactivation_resnet import PreactivationResNet
from surplus.nets.stem import check_images


@register("wide-resnet")
@dataclass(frozen=True, kw_only=True, slots=True)
class WideResNet(Net):
    """Three stages of pre-activation blocks, 16-32-64 times the widening factor wide: WRN-28-10 as it stands.

    Reference: zagoruyko2016wide, Table 1, blocks B(3,3). Larger images are taken in the same way, as the mean is over
    whatever is left; the output layer is drawn as in goyal2017accurate.
    """

    references: ClassVar = ("zagoruyko2016wide", "he2015delving", "goyal2017accurate")

    depth: int = 28
    """6n + 4 for n blocks in each stage, which is how the paper counts layers."""
    width: float = 10.0
    """The widening factor: multiplies the number of filters of the stages; the first convolution has 16."""
    dropout: float = 0.0
    """The rate of dropout between the two convolutions of a block; the paper tries 0.3."""

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Module:
        """Return the network at initialisation; see `Net.build`.

        Raises:
            InvalidArgument: no whole number of blocks makes the depth, or the inputs are no images.
        """
        num_blocks, rest = divmod(self.depth - 4, 6)
        if rest or num_blocks < 1:
            raise InvalidArgument(
                f"`depth` is {self.depth}; it must be 6n + 4, as 16, 22, 28 and 40 are."
            )
        check_images(input_shape)
        first, second, third = (scaled(width, self.width) for width in (16, 32, 64))
        model = PreactivationResNet(
            num_blocks, (16, first, second, third), input_shape[0], num_classes, self.dropout
        )
        kaiming_(model, seed)
        return model
