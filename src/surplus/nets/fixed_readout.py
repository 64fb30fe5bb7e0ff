"""A layer of rectifiers with a fixed read-out of signs."""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from surplus.base import InvalidArgument, Net, register
from surplus.nets.drawing import drawn, fixed, signed


@register("fixed-readout")
@dataclass(frozen=True, kw_only=True, slots=True)
class FixedReadout(Net):
    """f(x) = sum_j a_j relu(w_j x), as the lead of the second output; a_j = +-1 / sqrt(width) is not trained.

    Reference: xu2024benign, the network of the problem set-up.
    Half of the signs are +, exactly, where the paper draws them.
    """

    references: ClassVar = ("xu2024benign",)

    width: int = 100
    """The number of hidden units."""
    std: float = 1e-4
    """The standard deviation of the initial weights."""

    def __post_init__(self) -> None:
        if self.width < 2 or not self.std > 0:
            raise InvalidArgument(
                f"`width` is {self.width} and `std` {self.std:g}; they must be at least 2, and positive."
            )

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Sequential:
        """Return the network at initialisation; see `Net.build`.

        Raises:
            InvalidArgument: there are more than two classes.
        """
        if num_classes != 2:
            raise InvalidArgument(
                f"This network tells two classes apart; there are {num_classes} classes."
            )
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if len(input_shape) > 1:
            layers["flatten"] = nn.Flatten()
        hidden = nn.Linear(math.prod(input_shape), self.width, bias=False)
        layers["hidden"] = drawn(hidden, "hidden", self.std, seed)
        layers["relu"] = nn.ReLU()
        layers["readout"] = fixed(signed(self.width, 1 / math.sqrt(self.width)))
        return nn.Sequential(layers)
