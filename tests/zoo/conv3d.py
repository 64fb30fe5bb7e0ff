"""Convolutions over volumes, with a factored (2 + 1)-dimensional block."""

import torch
from torch import Tensor, nn

from zoo import register


class Conv2Plus1D(nn.Sequential):
    def __init__(self, in_planes: int, out_planes: int, midplanes: int, stride: int = 1):
        super().__init__(
            nn.Conv3d(in_planes, midplanes, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
            nn.BatchNorm3d(midplanes),
            nn.ReLU(inplace=True),
            nn.Conv3d(midplanes, out_planes, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False),
        )


class VideoNet(nn.Module):
    def __init__(self, num_classes: int = 5):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(2, 8, 3, padding=1, bias=False),
            nn.BatchNorm3d(8),
            nn.ReLU(inplace=True),
            nn.MaxPool3d((1, 2, 2)),
        )
        self.conv1 = nn.Sequential(Conv2Plus1D(8, 12, 10, stride=2), nn.BatchNorm3d(12))
        self.downsample = nn.Sequential(nn.Conv3d(8, 12, 1, stride=2), nn.BatchNorm3d(12))
        self.avgpool = nn.AdaptiveAvgPool3d((1, 1, 1))
        self.fc = nn.Linear(12, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.relu(self.conv1(x) + self.downsample(x))
        x = self.avgpool(x).flatten(1)
        return self.fc(x)


@register("conv3d")
def conv3d():
    return VideoNet(), torch.randn(2, 2, 4, 8, 8)
