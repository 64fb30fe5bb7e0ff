"""MobileNet v3: inverted residuals with squeeze-excitation and hard swish, after torchvision."""

import torch
from torch import Tensor, nn

from zoo import register
from zoo.initialisation import init_weights


class SqueezeExcitation(nn.Module):
    def __init__(self, input_channels: int, squeeze_channels: int):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation = nn.ReLU()
        self.scale_activation = nn.Hardsigmoid()

    def _scale(self, input: Tensor) -> Tensor:
        scale = self.avgpool(input)
        scale = self.activation(self.fc1(scale))
        return self.scale_activation(self.fc2(scale))

    def forward(self, input: Tensor) -> Tensor:
        scale = self._scale(input)
        return scale * input


def conv_bn_act(inp, out, kernel=1, stride=1, groups=1, act=nn.Hardswish) -> nn.Sequential:
    layers = [
        nn.Conv2d(inp, out, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out, eps=0.001, momentum=0.01),
    ]
    if act is not None:
        layers.append(act(inplace=True))
    return nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    def __init__(self, inp, kernel, expanded, out, use_se, use_hs, stride):
        super().__init__()
        self.use_res_connect = stride == 1 and inp == out
        act = nn.Hardswish if use_hs else nn.ReLU
        layers: list[nn.Module] = []
        if expanded != inp:
            layers.append(conv_bn_act(inp, expanded, act=act))
        layers.append(conv_bn_act(expanded, expanded, kernel, stride, expanded, act))
        if use_se:
            layers.append(SqueezeExcitation(expanded, max(expanded // 4, 8)))
        layers.append(conv_bn_act(expanded, out, act=None))
        self.block = nn.Sequential(*layers)
        self.out_channels = out

    def forward(self, input: Tensor) -> Tensor:
        result = self.block(input)
        if self.use_res_connect:
            result += input
        return result


class MobileNetV3(nn.Module):
    def __init__(self, num_classes: int = 10):
        super().__init__()
        self.features = nn.Sequential(
            conv_bn_act(3, 8, 3, 2),
            InvertedResidual(8, 3, 8, 8, True, False, 1),
            InvertedResidual(8, 3, 24, 12, False, False, 2),
            InvertedResidual(12, 3, 30, 12, False, False, 1),
            InvertedResidual(12, 5, 36, 16, True, True, 2),
            InvertedResidual(16, 5, 40, 16, True, True, 1),
            conv_bn_act(16, 48),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(48, 40),
            nn.Hardswish(inplace=True),
            nn.Dropout(p=0.2, inplace=True),
            nn.Linear(40, num_classes),
        )
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        return self.classifier(x)


@register("mobilenet_v3")
def mobilenet_v3():
    return MobileNetV3(), torch.randn(2, 3, 32, 32)
