"""MobileNet v1: depthwise separable convolutions in a plain chain."""

import torch
from torch import Tensor, nn

from zoo import register
from zoo.initialisation import init_weights


def conv_bn(inp: int, oup: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inp, oup, 3, stride, 1, bias=False),
        nn.BatchNorm2d(oup),
        nn.ReLU(inplace=True),
    )


def conv_dw(inp: int, oup: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inp, inp, 3, stride, 1, groups=inp, bias=False),
        nn.BatchNorm2d(inp),
        nn.ReLU(inplace=True),
        nn.Conv2d(inp, oup, 1, 1, 0, bias=False),
        nn.BatchNorm2d(oup),
        nn.ReLU(inplace=True),
    )


class MobileNetV1(nn.Module):
    def __init__(self, n_classes: int = 10):
        super().__init__()
        self.model = nn.Sequential(
            conv_bn(3, 8, 2),
            conv_dw(8, 16, 1),
            conv_dw(16, 24, 2),
            conv_dw(24, 24, 1),
            conv_dw(24, 32, 2),
            nn.AdaptiveAvgPool2d(1),
        )
        self.fc = nn.Linear(32, n_classes)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        x = self.model(x)
        x = x.view(-1, 32)
        return self.fc(x)


@register("mobilenet_v1")
def mobilenet_v1():
    return MobileNetV1(), torch.randn(2, 3, 32, 32)
