"""The residual block with a bottleneck."""

from typing import ClassVar, final

from torch import Tensor, nn


@final
class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with batch normalisation, added to the input, and a rectifier after the sum.

    Reference: he2016deep, Figure 5, right; the stride is in the 3x3 convolution, as in goyal2017accurate, Section 5.1.
    """

    expansion: ClassVar = 4

    def __init__(self, num_in: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        num_out = self.expansion * width
        self.conv1 = nn.Conv2d(num_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, num_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(num_out)
        self.relu = nn.ReLU()
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        residual = self.relu(self.bn1(self.conv1(x)))
        residual = self.relu(self.bn2(self.conv2(residual)))
        residual = self.bn3(self.conv3(residual))
        shortcut = x if self.downsample is None else self.downsample(x)
        out: Tensor = self.relu(residual + shortcut)
        return out
