"""A chain of convolutions whose last map is flattened into a linear layer."""

import torch
from torch import nn

from zoo import register


@register("conv_chain")
def conv_chain():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.AvgPool2d(2),
        nn.Conv2d(12, 16, 3),
        nn.LeakyReLU(0.1, inplace=True),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(16 * 2 * 2, 24),
        nn.ReLU(inplace=True),
        nn.Linear(24, 10),
    )
    return model, torch.randn(2, 3, 16, 16)
