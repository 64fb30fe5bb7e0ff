"""LeNet-300-100: the dense network of the pruning literature."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from surplus.base import Net, register
from surplus.nets.layers import Chain, scaled


@register("lenet-300-100")
@dataclass(frozen=True, kw_only=True, slots=True)
class LeNet300100(Net):
    """Dense layers 300-100-classes with rectifiers.

    Reference: lecun1998gradient, Section III.C.4; rectifiers instead of sigmoids, as in frankle2019lottery.

    Example:
        >>> net = LeNet300100().build((1, 28, 28), 10, seed=0)
        >>> sum(p.numel() for p in net.parameters())
        266610
    """

    references: ClassVar = ("lecun1998gradient", "frankle2019lottery", "glorot2010understanding")

    width: float = 1.0
    """Multiplies the number of units of every hidden layer."""
    bias: bool = True
    """Whether layers have biases (zero at first)."""

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Sequential:
        """Return the network at initialisation; see `Net.build`."""
        chain = Chain(input_shape, seed, bias=self.bias)
        chain.linear("fc1", scaled(300, self.width))
        chain.relu("relu1")
        chain.linear("fc2", scaled(100, self.width))
        chain.relu("relu2")
        chain.linear("fc3", num_classes)
        return chain.build()
