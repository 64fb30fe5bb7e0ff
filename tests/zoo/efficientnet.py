"""EfficientNet: MBConv blocks with squeeze-excitation, SiLU and stochastic depth, after timm."""

import torch
from torch import Tensor, nn

from zoo import register
from zoo.initialisation import init_weights


class DropPath(nn.Module):
    def __init__(self, drop_prob: float = 0.0):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        if self.drop_prob == 0.0 or not self.training:
            return x
        keep_prob = 1 - self.drop_prob
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        return x * x.new_empty(shape).bernoulli_(keep_prob) / keep_prob


class SqueezeExcite(nn.Module):
    def __init__(self, in_chs: int, rd_channels: int):
        super().__init__()
        self.conv_reduce = nn.Conv2d(in_chs, rd_channels, 1, bias=True)
        self.act1 = nn.SiLU(inplace=True)
        self.conv_expand = nn.Conv2d(rd_channels, in_chs, 1, bias=True)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        x_se = x.mean((2, 3), keepdim=True)
        x_se = self.conv_reduce(x_se)
        x_se = self.act1(x_se)
        x_se = self.conv_expand(x_se)
        return x * self.gate(x_se)


class MBConv(nn.Module):
    def __init__(self, in_chs, out_chs, kernel, stride, exp_ratio, drop_path=0.1):
        super().__init__()
        mid_chs = in_chs * exp_ratio
        self.has_skip = in_chs == out_chs and stride == 1
        self.conv_pw = nn.Conv2d(in_chs, mid_chs, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(mid_chs)
        self.act1 = nn.SiLU(inplace=True)
        self.conv_dw = nn.Conv2d(
            mid_chs, mid_chs, kernel, stride, kernel // 2, groups=mid_chs, bias=False
        )
        self.bn2 = nn.BatchNorm2d(mid_chs)
        self.act2 = nn.SiLU(inplace=True)
        self.se = SqueezeExcite(mid_chs, max(4, in_chs // 4))
        self.conv_pwl = nn.Conv2d(mid_chs, out_chs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_chs)
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        x = self.act1(self.bn1(self.conv_pw(x)))
        x = self.act2(self.bn2(self.conv_dw(x)))
        x = self.se(x)
        x = self.bn3(self.conv_pwl(x))
        if self.has_skip:
            x = self.drop_path(x) + shortcut
        return x


class EfficientNet(nn.Module):
    def __init__(self, num_classes: int = 10):
        super().__init__()
        self.conv_stem = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.act1 = nn.SiLU(inplace=True)
        self.blocks = nn.Sequential(
            nn.Sequential(MBConv(8, 8, 3, 1, 1)),
            nn.Sequential(MBConv(8, 12, 3, 2, 3), MBConv(12, 12, 3, 1, 3)),
            nn.Sequential(MBConv(12, 16, 5, 2, 3), MBConv(16, 16, 5, 1, 3)),
        )
        self.conv_head = nn.Conv2d(16, 40, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(40)
        self.act2 = nn.SiLU(inplace=True)
        self.global_pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(40, num_classes)
        self.apply(init_weights)

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn1(self.conv_stem(x)))
        x = self.blocks(x)
        return self.act2(self.bn2(self.conv_head(x)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.forward_features(x)
        x = self.global_pool(x).flatten(1)
        return self.classifier(x)


@register("efficientnet")
def efficientnet():
    return EfficientNet(), torch.randn(2, 3, 32, 32)
