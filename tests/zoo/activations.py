"""Convolutions with a PReLU of one slope per channel, and of one slope in all."""

import torch
from torch import nn

from zoo import register


@register("prelu")
def prelu():
    model = nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1),
        nn.PReLU(12),
        nn.Conv2d(12, 16, 3, stride=2, padding=1),
        nn.PReLU(),
        nn.Conv2d(16, 20, 3, padding=1, bias=False),
        nn.BatchNorm2d(20),
        nn.PReLU(20),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(20, 16),
        nn.PReLU(16),
        nn.Linear(16, 5),
    )
    return model, torch.randn(2, 3, 12, 12)
