"""A committee machine: one layer of error functions and their sum."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from surplus.base import InvalidArgument, Net, register
from surplus.nets.drawing import drawn, fixed
from surplus.nets.erf import Erf


@register("committee")
@dataclass(frozen=True, kw_only=True, slots=True)
class Committee(Net):
    """phi(x) = sum_k v_k g(w_k x / sqrt(N)) with g(x) = erf(x / sqrt(2)): the student of `teacher-student`.

    The layer `hidden` holds w / sqrt(N), so that the equations' learning rate eta is eta / N here, for both layers. All
    trained weights w and v are drawn from a standard Gaussian.

    Reference: goldt2019dynamics, the student of the problem set-up.
    """

    references: ClassVar = ("goldt2019dynamics",)

    width: int = 2
    """K, the number of hidden units."""
    learnt: bool = False
    """Whether the fan-out v is learnt; otherwise it is 1."""

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InvalidArgument(f"`width` is {self.width}; it must be at least 1.")

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Sequential:
        """Return the network at initialisation; see `Net.build`."""
        size = math.prod(input_shape)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if len(input_shape) > 1:
            layers["flatten"] = nn.Flatten()
        hidden = nn.Linear(size, self.width, bias=False)
        layers["hidden"] = drawn(hidden, "hidden", 1 / math.sqrt(size), seed)
        layers["erf"] = Erf()
        if self.learnt:
            readout = nn.Linear(self.width, num_classes, bias=False)
            layers["readout"] = drawn(readout, "readout", 1.0, seed)
        else:
            layers["readout"] = fixed(torch.ones(num_classes, self.width))
        return nn.Sequential(layers)
