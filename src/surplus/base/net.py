"""The family of nets: architectures of the field, built for a given input and number of classes."""

from abc import abstractmethod
from typing import TYPE_CHECKING

from surplus.base.family import Family

if TYPE_CHECKING:
    from torch import nn


class Net(Family):
    """A network architecture with its settings; `build` makes the module."""

    __slots__ = ()

    @abstractmethod
    def build(self, input_shape: tuple[int, ...], num_classes: int, seed: int) -> "nn.Module":
        """Return the network at initialisation.

        Args:
            input_shape: The shape of one input, without the batch axis.
            num_classes: The number of outputs.
            seed: Each layer draws from its own stream under this seed, so that one layer can be re-sampled alone.
        """
