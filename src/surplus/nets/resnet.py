"""The common form of the residual networks, with the module names of torchvision."""

from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor, nn

from surplus.nets.basic_block import BasicBlock
from surplus.nets.bottleneck import Bottleneck

Shortcut = Callable[[int, int, int], nn.Module]


@final
class ResNet(nn.Module):
    """A stem, stages of residual blocks of which all but the first halve the image, the mean over it, a dense layer.

    Args:
        block: The kind of block.
        depths: The number of blocks of each stage.
        widths: The width of the blocks of each stage.
        num_channels: The channels of the images.
        num_classes: The number of outputs.
        small: One 3x3 convolution instead of a 7x7 one of stride 2 with max-pooling.
        shortcut: Makes the shortcut where a block changes its input's shape, (num_in, num_out, stride) -> module.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        widths: Sequence[int],
        num_channels: int,
        num_classes: int,
        *,
        small: bool,
        shortcut: Shortcut,
    ) -> None:
        super().__init__()
        num_in = widths[0]
        kernel, stride = (3, 1) if small else (7, 2)
        self.conv1 = nn.Conv2d(num_channels, num_in, kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(num_in)
        self.relu = nn.ReLU()
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1)
        self._stages = [f"layer{place}" for place in range(1, len(depths) + 1)]
        for name, depth, width in zip(self._stages, depths, widths, strict=True):
            stride = 1 if name == "layer1" else 2
            num_out = width * block.expansion
            reshapes = stride != 1 or num_in != num_out
            downsample = shortcut(num_in, num_out, stride) if reshapes else None
            first = block(num_in, width, stride, downsample)
            rest = (block(num_out, width, 1, None) for _ in range(1, depth))
            self.add_module(name, nn.Sequential(first, *rest))
            num_in = num_out
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(num_in, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs for a batch of images."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in self._stages:
            x = self.get_submodule(stage)(x)
        x = self.fc(torch.flatten(self.avgpool(x), 1))
        return x


def projection(num_in: int, num_out: int, stride: int) -> nn.Sequential:
    """Return the shortcut by a 1x1 convolution with batch normalisation: he2016deep, Section 3.3, option B."""
    return nn.Sequential(nn.Conv2d(num_in, num_out, 1, stride, bias=False), nn.BatchNorm2d(num_out))
