"""XOR-cluster: four Gaussian clusters with the labels of exclusive or, some of them flipped."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument, Parts, register
from surplus.tasks.synthetic import Synthetic, stream
from surplus.tasks.vector_part import VectorPart, vector_part


@register("xor-cluster")
@dataclass(frozen=True, kw_only=True, slots=True)
class XORCluster(Synthetic):
    """x = c + noise with c among +-mu_1 (label 1) and +-mu_2 (label 0), which are orthogonal; no line separates them.

    The noise is a standard Gaussian in many dimensions, more than there are examples, so that a network can fit flipped
    labels and yet learn the clusters. Labels are flipped in the train part alone.

    Reference: xu2024benign, the distribution of the problem set-up.
    """

    references: ClassVar = ("xu2024benign",)

    dimension: int = 2000
    """Of the inputs."""
    signal: float = 10.0
    """The length of mu_1 and mu_2."""
    flipped: float = 0.1
    """The fraction of training labels that are flipped: exactly round(flipped * n) of them."""
    num_train: int = 200
    """Training examples."""
    num_test: int = 1000
    """Validation examples, and as many test examples."""
    seed: int = 0
    """The draw; the same for all replicas of a spec."""

    def __post_init__(self) -> None:
        if not 0 <= self.flipped <= 1:
            raise InvalidArgument(
                f"`flipped` is {self.flipped:g}; it must lie in [0, 1]: it is the fraction of labels flipped."
            )
        if self.dimension < 2:
            raise InvalidArgument(
                f"`dimension` is {self.dimension}; two orthogonal directions need at least 2."
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return (self.dimension,)

    @property
    def num_classes(self) -> int:
        """Two."""
        return 2

    @property
    def directions(self) -> Float[Tensor, "4 features"]:
        """The centres: mu_1, -mu_1, mu_2, -mu_2."""
        drawn = torch.randn(self.dimension, 2, generator=stream(self.seed, "centres"))
        mu = torch.linalg.qr(drawn).Q.T * self.signal
        return torch.stack([mu[0], -mu[0], mu[1], -mu[1]])

    def make(self) -> Parts:
        """Draw the data."""
        return Parts(
            self._part("train", self.num_train, self.flipped),
            self._part("validation", self.num_test, 0.0),
            self._part("test", self.num_test, 0.0),
        )

    def _part(self, name: str, num: int, flipped: float) -> VectorPart:
        generator = stream(self.seed, name)
        cluster = torch.randint(4, (num,), generator=generator)
        inputs = torch.randn(num, self.dimension, generator=generator) + self.directions[cluster]
        changed = torch.zeros(num, dtype=torch.bool)
        changed[torch.randperm(num, generator=generator)[: round(flipped * num)]] = True
        labels = (cluster < 2) ^ changed
        return vector_part(inputs, labels.to(torch.int64), changed)
