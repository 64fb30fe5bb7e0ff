"""RegNet-Y: bottlenecks of a fixed group width with squeeze-excitation, after torchvision."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from zoo import register
from zoo.initialisation import init_weights


def conv_norm(inp, out, kernel, stride=1, groups=1, act=True) -> nn.Sequential:
    layers = [
        nn.Conv2d(inp, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if act else []))


class SqueezeExcitation(nn.Module):
    def __init__(self, input_channels: int, squeeze_channels: int):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)

    def forward(self, input: Tensor) -> Tensor:
        scale = self.avgpool(input)
        scale = self.fc2(torch.relu(self.fc1(scale)))
        return torch.sigmoid(scale) * input


class BottleneckTransform(nn.Sequential):
    def __init__(self, width_in, width_out, stride, group_width, se_ratio):
        groups = width_out // group_width
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["a"] = conv_norm(width_in, width_out, 1)
        layers["b"] = conv_norm(width_out, width_out, 3, stride, groups)
        layers["se"] = SqueezeExcitation(width_out, round(se_ratio * width_in))
        layers["c"] = conv_norm(width_out, width_out, 1, act=False)
        super().__init__(layers)


class ResBottleneckBlock(nn.Module):
    def __init__(self, width_in, width_out, stride, group_width, se_ratio=0.25):
        super().__init__()
        self.proj = None
        if width_in != width_out or stride != 1:
            self.proj = conv_norm(width_in, width_out, 1, stride, act=False)
        self.f = BottleneckTransform(width_in, width_out, stride, group_width, se_ratio)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        if self.proj is not None:
            x = self.proj(x) + self.f(x)
        else:
            x = x + self.f(x)
        return self.activation(x)


class RegNet(nn.Module):
    def __init__(self, widths=(16, 24, 40), depths=(1, 2, 2), group_width=8, num_classes=10):
        super().__init__()
        self.stem = conv_norm(3, 16, 3, 2)
        current_width = 16
        blocks = []
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            stage: OrderedDict[str, nn.Module] = OrderedDict()
            for j in range(depth):
                width_in, stride = (current_width, 2) if j == 0 else (width, 1)
                stage[f"block{i + 1}-{j}"] = ResBottleneckBlock(
                    width_in, width, stride, group_width
                )
            current_width = width
            blocks.append((f"block{i + 1}", nn.Sequential(stage)))
        self.trunk_output = nn.Sequential(OrderedDict(blocks))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(current_width, num_classes)
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.trunk_output(x)
        x = self.avgpool(x)
        x = x.flatten(start_dim=1)
        return self.fc(x)


@register("regnet_y")
def regnet_y():
    return RegNet(), torch.randn(2, 3, 32, 32)
