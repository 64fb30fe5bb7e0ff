"""Teacher and student: numbers that a network of known units gives."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument, Parts, register
from surplus.tasks.losses.squared_error import SquaredError
from surplus.tasks.synthetic import Synthetic, stream
from surplus.tasks.vector_part import VectorPart, vector_part


@register("teacher-student")
@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherStudent(Synthetic):
    """Targets are sum_n erf(B_n x / sqrt(2 N)) + noise, for Gaussian inputs x of N dimensions: a committee of M units.

    The teacher's vectors B_n are drawn from a standard Gaussian by the seed. A student that makes one pass over the
    train part with a batch of one learns online: it sees no example twice. Validation and test carry no noise.

    Reference: goldt2019dynamics, the teacher of the problem set-up.
    The teacher's fan-out is 1. Replicas of a spec see the same examples, each in an order of its own.
    """

    references: ClassVar = ("goldt2019dynamics",)

    dimension: int = 500
    """N, of the inputs."""
    num_units: int = 2
    """M, of the teacher."""
    noise: float = 0.0
    """The standard deviation of what is added to training targets."""
    num_train: int = 50_000
    """The length of the stream: the number of steps of a single pass."""
    num_test: int = 2000
    """Validation examples, and as many test examples."""
    seed: int = 0
    """The draw of teacher and data; the same for all replicas of a spec."""

    def __post_init__(self) -> None:
        if not self.noise >= 0:
            raise InvalidArgument(
                f"`noise` is {self.noise:g}; it is a standard deviation and must not be negative."
            )
        if self.num_units < 1 or self.dimension < 1:
            raise InvalidArgument(
                f"`num_units` is {self.num_units} and `dimension` {self.dimension}; both must be at least 1."
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return (self.dimension,)

    @property
    def num_classes(self) -> int:
        """One number."""
        return 1

    @property
    def loss(self) -> SquaredError:
        """Half the squared error."""
        return SquaredError()

    @property
    def directions(self) -> Float[Tensor, "units features"]:
        """The teacher's weight vectors B_n / sqrt(N), as they multiply an input."""
        shape = (self.num_units, self.dimension)
        return torch.randn(shape, generator=stream(self.seed, "teacher")) / math.sqrt(
            self.dimension
        )

    def make(self) -> Parts:
        """Draw the data."""
        return Parts(
            self._part("train", self.num_train, self.noise),
            self._part("validation", self.num_test, 0.0),
            self._part("test", self.num_test, 0.0),
        )

    def _part(self, name: str, num: int, noise: float) -> VectorPart:
        generator = stream(self.seed, name)
        inputs = torch.randn(num, self.dimension, generator=generator)
        targets = torch.erf(inputs @ self.directions.T / math.sqrt(2)).sum(1)
        if noise:
            targets += noise * torch.randn(num, generator=generator)
        return vector_part(inputs, targets)
