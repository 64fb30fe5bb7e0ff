"""The common form of residual networks whose blocks begin with a normalisation."""

from typing import final

import torch
from torch import Tensor, nn

from surplus.nets.preactivation_block import PreactivationBlock


@final
class PreactivationResNet(nn.Module):
    """A 3x3 convolution, three stages of blocks of which two halve the image, a last normalisation, a dense layer.

    Args:
        depth: The number of blocks of each stage.
        widths: The filters of the first convolution and of the stages.
        num_channels: The channels of the images.
        num_classes: The number of outputs.
        dropout: The rate of dropout between the convolutions of a block.
    """

    def __init__(
        self,
        depth: int,
        widths: tuple[int, int, int, int],
        num_channels: int,
        num_classes: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(num_channels, widths[0], 3, padding=1, bias=False)
        self.layer1, self.layer2, self.layer3 = (
            _stage(widths[place], widths[place + 1], depth, stride, dropout)
            for place, stride in enumerate((1, 2, 2))
        )
        self.bn1 = nn.BatchNorm2d(widths[3])
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(widths[3], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs for a batch of images."""
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        x = self.avgpool(self.relu(self.bn1(x)))
        x = self.fc(torch.flatten(x, 1))
        return x


def _stage(num_in: int, width: int, depth: int, stride: int, dropout: float) -> nn.Sequential:
    blocks = [PreactivationBlock(num_in, width, stride, dropout)]
    blocks += [PreactivationBlock(width, width, 1, dropout) for _ in range(1, depth)]
    return nn.Sequential(*blocks)
