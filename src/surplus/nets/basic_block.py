"""The residual block of two 3x3 convolutions."""

from typing import ClassVar, final

from torch import Tensor, nn


@final
class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation, added to the input, and a rectifier after the sum.

    Reference: he2016deep, Figure 5, left.
    """

    expansion: ClassVar = 1

    def __init__(self, num_in: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(num_in, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        residual = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        shortcut = x if self.downsample is None else self.downsample(x)
        out: Tensor = self.relu(residual + shortcut)
        return out
