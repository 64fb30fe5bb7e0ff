"""MobileNet-v2."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from surplus.base import Net, register
from surplus.nets.initialisation import kaiming_
from surplus.nets.inverted_residual import InvertedResidual
from surplus.nets.layers import scaled
from surplus.nets.pooled import Pooled, normalised
from surplus.nets.stem import Stem, is_small

# expansion, width, number of blocks, stride of the first
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


@register("mobilenet-v2")
@dataclass(frozen=True, kw_only=True, slots=True)
class MobileNetV2(Net):
    """Seventeen inverted residual blocks with linear bottlenecks, with the module names of torchvision.

    Reference: sandler2018mobilenetv2, Table 2; widths are not rounded to multiples of 8.
    Without the first two reductions for images below 64 pixels; weights are drawn as those of the residual networks.
    """

    references: ClassVar = ("sandler2018mobilenetv2", "he2015delving", "goyal2017accurate")

    width: float = 1.0
    """Multiplies the number of units of every hidden layer; the last convolution has at least 1280."""
    dropout: float = 0.2
    """The rate of dropout before the dense layer."""
    stem: Stem | None = None
    """How images are taken in: "small" leaves out the first two reductions; None does so below 64 pixels."""

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Module:
        """Return the network at initialisation; see `Net.build`."""
        small = is_small(self.stem, input_shape)
        num_in = scaled(32, self.width)
        features: list[nn.Module] = [normalised(input_shape[0], num_in, 3, 1 if small else 2)]
        for place, (expansion, width, num_blocks, stride) in enumerate(STAGES):
            num_out = scaled(width, self.width)
            begin = 1 if small and place == 1 else stride
            for number in range(num_blocks):
                block = InvertedResidual(
                    num_in,
                    num_out,
                    stride=begin if number == 0 else 1,
                    expansion=expansion,
                    residual=number > 0,
                )
                features.append(block)
                num_in = num_out
        last = scaled(1280, max(1.0, self.width))
        features.append(normalised(num_in, last))
        classifier = nn.Sequential(nn.Dropout(self.dropout), nn.Linear(last, num_classes))
        model = Pooled(nn.Sequential(*features), classifier)
        kaiming_(model, seed)
        return model
