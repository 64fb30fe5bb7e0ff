"""A teacher of rectifiers, some of which matter more than others."""

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from surplus.base import Parts, register
from surplus.tasks.losses.squared_error import SquaredError
from surplus.tasks.synthetic import Synthetic, stream
from surplus.tasks.vector_part import VectorPart, vector_part


@register("relu-teacher")
@dataclass(frozen=True, kw_only=True, slots=True)
class ReLUTeacher(Synthetic):
    """Targets are V relu(W x + bias): a fixed sample of the outputs of a two-layer network.

    The rows of W have entries among -0.5, -0.25, 0, 0.25 and 0.5, and length 1 after that; the fan-out of unit j is a
    Gaussian vector of length j^-decay, so that with decay the later units matter less.

    Reference: tian2019luck, the experiments on two layers.
    Rows of W are drawn, not enumerated; they are of length 1.
    """

    references: ClassVar = ("tian2019luck",)

    dimension: int = 100
    """Of the inputs."""
    num_units: int = 10
    """Of the teacher."""
    num_outputs: int = 50
    """Of the teacher."""
    decay: float = 0.0
    """How fast the strength of the teacher's units falls."""
    bias: float = -0.1
    """Of the teacher's units."""
    spread: float = 1.5
    """The standard deviation of the inputs."""
    num_train: int = 10_000
    """Training examples."""
    num_test: int = 2000
    """Validation examples, and as many test examples."""
    seed: int = 0
    """The draw of teacher and data; the same for all replicas of a spec."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return (self.dimension,)

    @property
    def num_classes(self) -> int:
        """The number of outputs."""
        return self.num_outputs

    @property
    def loss(self) -> SquaredError:
        """Half the squared error, summed over outputs."""
        return SquaredError()

    @property
    def directions(self) -> Float[Tensor, "units features"]:
        """The teacher's weight vectors, the strongest unit first."""
        shape = (self.num_units, self.dimension)
        drawn = torch.randint(-2, 3, shape, generator=stream(self.seed, "teacher"))
        return F.normalize(drawn.float(), dim=1)

    @property
    def fan_out(self) -> Float[Tensor, "units outputs"]:
        """What the units' outputs are multiplied with."""
        shape = (self.num_units, self.num_outputs)
        drawn = F.normalize(torch.randn(shape, generator=stream(self.seed, "fan-out")), dim=1)
        return drawn * torch.arange(1.0, self.num_units + 1).pow(-self.decay)[:, None]

    def make(self) -> Parts:
        """Draw the data."""
        return Parts(
            self._part("train", self.num_train),
            self._part("validation", self.num_test),
            self._part("test", self.num_test),
        )

    def _part(self, name: str, num: int) -> VectorPart:
        inputs = self.spread * torch.randn(num, self.dimension, generator=stream(self.seed, name))
        return vector_part(inputs, F.relu(inputs @ self.directions.T + self.bias) @ self.fan_out)
