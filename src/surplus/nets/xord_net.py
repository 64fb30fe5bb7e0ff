"""The network of XORD: filters on two bits, the largest response over positions, a fixed read-out."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from surplus.base import InvalidArgument, Net, register
from surplus.nets.drawing import drawn, fixed, signed


@register("xord-net")
@dataclass(frozen=True, kw_only=True, slots=True)
class XORDNet(Net):
    """N(x) = sum_{i <= k} max_j relu(w_i x_j) - sum_{i <= k} max_j relu(u_i x_j), as the lead of the second output.

    Only the filters `w` (the first k of `filters`) and `u` (the others) are trained; their initial entries have
    standard deviation spread / k^(3/2), which is small against what they grow to.

    Reference: brutzkus2019larger, the network of the XORD problem.
    """

    references: ClassVar = ("brutzkus2019larger",)

    width: int = 10
    """k: there are so many filters of each sign."""
    spread: float = 1e-3
    """The initial standard deviation for k = 1."""

    def __post_init__(self) -> None:
        if self.width < 1 or not self.spread > 0:
            raise InvalidArgument(
                f"`width` is {self.width} and `spread` {self.spread:g}; both must be positive."
            )

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Sequential:
        """Return the network at initialisation; see `Net.build`.

        Raises:
            InvalidArgument: the input is no image, or there are more than two classes.
        """
        if len(input_shape) != 3 or num_classes != 2:
            raise InvalidArgument(
                "This network takes images, (channels, height, width), and tells two classes apart; the inputs are"
                f" {input_shape} and there are {num_classes} classes."
            )
        filters = nn.Conv2d(input_shape[0], 2 * self.width, 1, bias=False)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["filters"] = drawn(filters, "filters", self.spread / self.width**1.5, seed)
        layers["relu"] = nn.ReLU()
        layers["pool"] = nn.AdaptiveMaxPool2d(1)
        layers["flatten"] = nn.Flatten()
        layers["readout"] = fixed(signed(2 * self.width, 1.0))
        return nn.Sequential(layers)
