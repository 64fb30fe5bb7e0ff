"""The common form of the MobileNets: features, their mean over the image, and a classifier."""

from collections import OrderedDict
from typing import final

import torch
from torch import Tensor, nn


@final
class Pooled(nn.Module):
    """Convolutional features, the mean over the image, and what makes outputs of it."""

    def __init__(self, features: nn.Sequential, classifier: nn.Sequential) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs for a batch of images."""
        pooled = torch.flatten(self.avgpool(self.features(x)), 1)
        out: Tensor = self.classifier(pooled)
        return out


def normalised(
    num_in: int, num_out: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return a convolution with batch normalisation and a rectifier that is cut off at 6."""
    conv = nn.Conv2d(num_in, num_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(num_out), nn.ReLU6())


def separable(num_in: int, num_out: int, stride: int) -> nn.Sequential:
    """Return a 3x3 filter for each map, then a 1x1 convolution, both with batch normalisation and rectifier."""
    depthwise = nn.Conv2d(num_in, num_in, 3, stride, padding=1, groups=num_in, bias=False)
    layers = OrderedDict(
        depthwise=depthwise,
        bn1=nn.BatchNorm2d(num_in),
        relu1=nn.ReLU(),
        pointwise=nn.Conv2d(num_in, num_out, 1, bias=False),
        bn2=nn.BatchNorm2d(num_out),
        relu2=nn.ReLU(),
    )
    return nn.Sequential(layers)
