"""Convolutions with group norm, and a style-transfer net with instance norm."""

import torch
from torch import Tensor, nn

from zoo import register


class GroupNormNet(nn.Module):
    def __init__(self, num_classes: int = 10, num_groups: int = 4):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.gn1 = nn.GroupNorm(num_groups, 16)
        self.conv2 = nn.Conv2d(16, 24, 3, stride=2, padding=1, bias=False)
        self.gn2 = nn.GroupNorm(num_groups, 24)
        self.conv3 = nn.Conv2d(24, 24, 3, padding=1, bias=False)
        self.gn3 = nn.GroupNorm(1, 24)
        self.act = nn.SiLU()
        self.fc = nn.Linear(24, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.gn1(self.conv1(x)))
        x = self.act(self.gn2(self.conv2(x)))
        x = x + self.act(self.gn3(self.conv3(x)))
        return self.fc(x.mean(dim=(-2, -1)))


class ResidualBlock(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3)
        self.in1 = nn.InstanceNorm2d(channels, affine=True)
        self.conv2 = nn.Conv2d(channels, channels, 3)
        self.in2 = nn.InstanceNorm2d(channels, affine=True)
        self.pad = nn.ReflectionPad2d(1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        residual = x
        out = self.relu(self.in1(self.conv1(self.pad(x))))
        out = self.in2(self.conv2(self.pad(out)))
        return out + residual


class TransformerNet(nn.Module):
    """Johnson's style transfer."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 5, padding=2, padding_mode="reflect")
        self.in1 = nn.InstanceNorm2d(8, affine=True)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1, padding_mode="reflect")
        self.in2 = nn.InstanceNorm2d(16, affine=True, track_running_stats=True)
        self.res1 = ResidualBlock(16)
        self.res2 = ResidualBlock(16)
        self.deconv1 = nn.Conv2d(16, 8, 3, padding=1)
        self.in4 = nn.InstanceNorm2d(8)
        self.deconv2 = nn.Conv2d(8, 3, 5, padding=2)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.in1(self.conv1(x)))
        y = self.relu(self.in2(self.conv2(y)))
        y = self.res2(self.res1(y))
        y = nn.functional.interpolate(y, mode="nearest", scale_factor=2)
        y = self.relu(self.in4(self.deconv1(y)))
        return self.deconv2(y)


@register("group_norm")
def group_norm():
    return GroupNormNet(), torch.randn(2, 3, 16, 16)


@register("instance_norm")
def instance_norm():
    return TransformerNet(), torch.randn(2, 3, 16, 16)
