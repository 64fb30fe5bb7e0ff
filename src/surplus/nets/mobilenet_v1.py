"""MobileNet-v1."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from surplus.base import Net, register
from surplus.nets.initialisation import kaiming_
from surplus.nets.layers import scaled
from surplus.nets.pooled import Pooled, separable
from surplus.nets.stem import Stem, is_small

BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)


@register("mobilenet-v1")
@dataclass(frozen=True, kw_only=True, slots=True)
class MobileNetV1(Net):
    """A 3x3 convolution and thirteen separable ones, each map filtered alone and then mixed by a 1x1 convolution.

    Reference: howard2017mobilenets, Table 1; its last stride of 2, with 7x7 maps before and after, is taken as 1.
    Without the first two reductions for images below 64 pixels; weights are drawn as those of the residual networks.
    """

    references: ClassVar = ("howard2017mobilenets", "he2015delving", "goyal2017accurate")

    width: float = 1.0
    """Multiplies the number of units of every hidden layer."""
    stem: Stem | None = None
    """How images are taken in: "small" leaves out the first two reductions; None does so below 64 pixels."""

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Module:
        """Return the network at initialisation; see `Net.build`."""
        small = is_small(self.stem, input_shape)
        num_in = scaled(32, self.width)
        conv1 = nn.Conv2d(input_shape[0], num_in, 3, 1 if small else 2, padding=1, bias=False)
        first = OrderedDict(conv1=conv1, bn1=nn.BatchNorm2d(num_in), relu1=nn.ReLU())
        features = [nn.Sequential(first)]
        for place, (width, stride) in enumerate(BLOCKS):
            num_out = scaled(width, self.width)
            features.append(separable(num_in, num_out, 1 if small and place == 1 else stride))
            num_in = num_out
        classifier = nn.Sequential(OrderedDict(fc=nn.Linear(num_in, num_classes)))
        model = Pooled(nn.Sequential(*features), classifier)
        kaiming_(model, seed)
        return model
