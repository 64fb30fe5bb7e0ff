"""Convolutions that differ in how they pad, stride and dilate, or multiply their depth."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo import register


def head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(channels * 4, 5)]


@register("conv_same_dilated")
def conv_same_dilated():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 5, padding="same"),
        nn.ReLU(),
        nn.Conv2d(8, 12, 3, padding="same", dilation=2),
        nn.Softplus(),
        nn.Conv2d(12, 16, (3, 1), stride=(2, 1), padding=(1, 0), padding_mode="zeros"),
        nn.ReLU(),
        nn.Conv2d(16, 12, (1, 3), dilation=(1, 2), padding="valid"),
        nn.ReLU(),
        *head(12),
    )
    return model, torch.randn(2, 3, 12, 12)


@register("conv_circular")
def conv_circular():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular"),
        nn.Tanh(),
        nn.Conv2d(8, 12, 5, padding=2, padding_mode="circular", bias=False),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 8, 3, padding=1, padding_mode="replicate"),
        nn.ReLU(),
        *head(8),
    )
    return model, torch.randn(2, 3, 12, 12)


class StridedNet(nn.Module):
    """Pads by hand before each strided convolution, as ports of TensorFlow models do."""

    def __init__(self):
        super().__init__()
        self.pad = nn.ZeroPad2d((0, 1, 0, 1))
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2)
        self.conv2 = nn.Conv2d(8, 12, 3, stride=2)
        self.conv3 = nn.Conv2d(12, 12, 2, stride=2)
        self.fc = nn.Linear(12 * 2 * 2, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(self.pad(x)))
        x = F.relu(self.conv2(F.pad(x, (0, 1, 0, 1))))
        x = F.relu(self.conv3(x))
        return self.fc(x.reshape(x.shape[0], -1))


@register("conv_strided")
def conv_strided():
    return StridedNet(), torch.randn(2, 3, 16, 16)


@register("depth_multiplier")
def depth_multiplier():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1, groups=8, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 12, 1),
        nn.ReLU(),
        *head(12),
    )
    return model, torch.randn(2, 3, 8, 8)
