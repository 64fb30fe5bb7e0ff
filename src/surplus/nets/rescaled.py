"""A network that begins with larger or smaller weights."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from surplus.base import InvalidArgument, Net, register


@register("rescaled")
@dataclass(frozen=True, kw_only=True, slots=True)
class Rescaled(Net):
    """Another network whose initial parameters are multiplied by a factor, those that are held fixed left out.

    Reference: tian2019luck, the experiments on two layers, where students begin close to zero.
    """

    references: ClassVar = ("tian2019luck",)

    inner: Net
    """The network."""
    factor: float
    """What its initial parameters are multiplied by."""

    def __post_init__(self) -> None:
        if not self.factor > 0:
            raise InvalidArgument(f"`factor` is {self.factor:g}; it must be positive.")

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Module:
        """Return the network at initialisation; see `Net.build`."""
        model = self.inner.build(input_shape, num_classes, seed)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.mul_(self.factor)
        return model
