"""A network that begins with larger or smaller weights."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from surplus.base import InvalidArgument, Net, register


@register("rescaled")
@dataclass(frozen=True, kw_only=True, slots=True)
class Rescaled(Net):
    """Another network whose initial weights are multiplied by a factor.

    Biases, normalisations and whatever is held fixed begin as they would.

    Small weights let training choose the directions of units; with large ones it hardly turns them.

    Reference: casper2021frivolous, and its code (`init_factor` in experiments.py); tian2019luck, whose students begin
    close to zero.

    Example:
        >>> from surplus.nets import MLP
        >>> net = MLP(widths=(5,))
        >>> small = Rescaled(inner=net, factor=0.5).build((3,), 2, seed=0)
        >>> bool(torch.equal(2 * small.fc1.weight, net.build((3,), 2, seed=0).fc1.weight))
        True
    """

    references: ClassVar = ("casper2021frivolous", "tian2019luck")

    inner: Net
    """The network."""
    factor: float
    """What every weight is multiplied by."""

    def __post_init__(self) -> None:
        if not self.factor > 0:
            raise InvalidArgument(f"`factor` is {self.factor:g}; it must be positive.")

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Module:
        """Return the network at initialisation; see `Net.build`."""
        model = self.inner.build(input_shape, num_classes, seed)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1 and parameter.requires_grad:
                    parameter.mul_(self.factor)
        return model
