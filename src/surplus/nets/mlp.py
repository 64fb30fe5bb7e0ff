"""A dense network of any widths."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from surplus.base import InvalidArgument, Net, register
from surplus.nets.layers import Chain


@register("mlp")
@dataclass(frozen=True, kw_only=True, slots=True)
class MLP(Net):
    """Dense layers with rectifiers between them: `fc1`, `fc2` and so on.

    Reference: glorot2010understanding, Section 4.2.1, for the initial weights.

    Example:
        >>> net = MLP(widths=(5, 4)).build((3,), 2, seed=0)
        >>> [tuple(p.shape) for p in net.parameters()]
        [(5, 3), (5,), (4, 5), (4,), (2, 4), (2,)]
    """

    references: ClassVar = ("glorot2010understanding",)

    widths: tuple[int, ...] = (256,)
    """The units of each hidden layer."""
    bias: bool = True
    """Whether layers have biases (zero at first)."""

    def __post_init__(self) -> None:
        if any(width < 1 for width in self.widths):
            raise InvalidArgument(f"`widths` is {self.widths}; each layer needs at least one unit.")

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Sequential:
        """Return the network at initialisation; see `Net.build`."""
        chain = Chain(input_shape, seed, bias=self.bias)
        for place, width in enumerate(self.widths, start=1):
            chain.linear(f"fc{place}", width)
            chain.relu(f"relu{place}")
        chain.linear(f"fc{len(self.widths) + 1}", num_classes)
        return chain.build()
