"""Gaussian Kaiming weights for networks with normalisation, each layer drawn from its own stream."""

import math

import torch
from torch import nn

from surplus.base import derive

OUTPUT_STD = 0.01


@torch.no_grad()
def kaiming_(model: nn.Module, seed: int) -> None:
    """In place: draw the weights of all convolutions and dense layers anew, each from its own stream under the seed.

    Convolutions: standard deviation sqrt(2 / fan_out), where the fan-out of a grouped convolution counts the maps of
    one group only. Dense layers, which are the output here: standard deviation 0.01. Biases are zero.

    Reference: he2015delving, Eq. 14; the dense layer as in goyal2017accurate, Section 5.1.
    Strides are left out of the fan-out, as is usual.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.weight[0, 0].numel() * module.out_channels // module.groups
            std = math.sqrt(2 / fan_out)
        elif isinstance(module, nn.Linear):
            std = OUTPUT_STD
        else:
            continue
        generator = torch.Generator().manual_seed(derive(seed, "init", name))
        module.weight.normal_(0, std, generator=generator)
        if module.bias is not None:
            module.bias.zero_()
