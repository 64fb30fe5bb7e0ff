"""VGG-11 for 32x32 images."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from surplus.base import Net, register
from surplus.nets.vgg import vgg

STAGES = ((64,), (128,), (256, 256), (512, 512), (512, 512))


@register("vgg-11")
@dataclass(frozen=True, kw_only=True, slots=True)
class VGG11(Net):
    """Eight 3x3 convolutions in five stages, then dense 512-512-classes, without normalisation.

    Reference: simonyan2015very, Table 1, column A; the dense layers are 512 wide, as usual for 32x32 images.
    """

    references: ClassVar = ("simonyan2015very", "glorot2010understanding")

    width: float = 1.0
    """Multiplies the number of units of every hidden layer."""
    bias: bool = True
    """Whether layers have biases (zero at first)."""
    dropout: float = 0.5
    """The rate of dropout before the first two dense layers."""

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Sequential:
        """Return the network at initialisation; see `Net.build`."""
        return vgg(
            STAGES, self.width, self.bias, False, self.dropout, input_shape, num_classes, seed
        )
