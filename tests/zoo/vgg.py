"""VGG with batch norm: a configuration list, an adaptive pool, a flattened classifier."""

import torch
from torch import Tensor, nn

from zoo import register
from zoo.initialisation import init_weights


def make_layers(cfg: list[int | str], batch_norm: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = []
    in_channels = 3
    for v in cfg:
        if v == "M":
            layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
        else:
            conv2d = nn.Conv2d(in_channels, v, kernel_size=3, padding=1)
            if batch_norm:
                layers += [conv2d, nn.BatchNorm2d(v), nn.ReLU(inplace=True)]
            else:
                layers += [conv2d, nn.ReLU(inplace=True)]
            in_channels = v
    return nn.Sequential(*layers)


class VGG(nn.Module):
    def __init__(self, features: nn.Module, num_classes: int = 10):
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(
            nn.Linear(24 * 2 * 2, 48),
            nn.ReLU(True),
            nn.Dropout(p=0.5),
            nn.Linear(48, 32),
            nn.ReLU(True),
            nn.Dropout(p=0.5),
            nn.Linear(32, num_classes),
        )
        self.apply(init_weights)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        return self.classifier(x)


CFG = [8, "M", 12, "M", 16, 16, "M", 24, 24, "M"]


@register("vgg_bn")
def vgg_bn():
    return VGG(make_layers(CFG)), torch.randn(2, 3, 32, 32)


@register("vgg")
def vgg():
    return VGG(make_layers(CFG, batch_norm=False)), torch.randn(2, 3, 32, 32)
