"""A network that begins with the weights of one seed."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from surplus.base import InvalidArgument, Net, register


@register("seeded")
@dataclass(frozen=True, kw_only=True, slots=True)
class Seeded(Net):
    """Another network that begins with the weights of one seed, whatever the seed of the run.

    Runs of it differ in the order of their batches alone: what they end up with differs by nothing else. With the
    weights of seed 3 and the batches of seed 8, the third run has a twin.

    Reference: frankle2020linear, Section 2: copies of a network that are trained with different noise of SGD.

    Example:
        >>> from surplus.nets import MLP
        >>> some, other = (Seeded(inner=MLP(widths=(4,)), seed=3).build((3,), 2, run) for run in (3, 8))
        >>> bool((some.fc1.weight == other.fc1.weight).all())
        True
    """

    references: ClassVar = ("frankle2020linear",)

    inner: Net
    """The network."""
    seed: int
    """Of its initial weights."""

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InvalidArgument(f"`seed` is {self.seed}; seeds are whole numbers from 0 on.")

    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> nn.Module:
        """Return the network at initialisation; see `Net.build`. The run's seed is not used."""
        return self.inner.build(input_shape, num_classes, self.seed)
