"""Gaussian data: independent normal inputs, labelled by a random linear map or a small random network."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import InvalidArgument, Parts, Task, derive, register
from surplus.tasks.classification import Labels, relabelled
from surplus.tasks.vector_part import VectorPart


@register("gaussian")
@dataclass(frozen=True, kw_only=True, slots=True)
class Gaussian(Task):
    """Independent standard normal inputs; the label is the largest output of a random teacher.

    The teacher is a linear map, or a network with one rectified hidden layer, all weights normal and no biases. Its
    outputs are centred on the train part first.

    Reference: casper2021frivolous, and its code (create_linear_dataset.py).
    There outputs are not centred: a random rectified teacher then gives most inputs one label, and a network that
    always answers with it agrees with itself however much of it is removed.

    Example:
        >>> train, _, _ = Gaussian(num_inputs=3, num_train=5).load()
        >>> [tuple(each.shape) for each in train.batch(torch.arange(5))]
        [(5, 3), (5,)]
    """

    references: ClassVar = ("casper2021frivolous",)

    num_inputs: int = 10
    """How many numbers an input has."""
    num_classes: int = 2
    """The number of labels."""
    teacher_units: int | None = 32
    """The hidden units of the teacher; None takes a linear map."""
    num_train: int = 5000
    """Training examples."""
    num_validation: int = 1000
    """Validation examples."""
    num_test: int = 1000
    """Test examples."""
    labels: Labels = Labels()
    """Label noise or random labels, of the train part."""
    seed: int = 0
    """Of the teacher and the inputs; the same for all replicas of a spec."""

    def __post_init__(self) -> None:
        if self.num_classes < 2:
            raise InvalidArgument(f"`num_classes` is {self.num_classes}; it must be at least 2.")
        for name in ("num_inputs", "num_train", "num_validation", "num_test"):
            if getattr(self, name) < 1:
                raise InvalidArgument(f"`{name}` is {getattr(self, name)}; it must be at least 1.")
        if self.teacher_units is not None and self.teacher_units < 1:
            raise InvalidArgument(
                f"`teacher_units` is {self.teacher_units}; it must be at least 1, or None for a linear map."
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input."""
        return (self.num_inputs,)

    @property
    def content_hash(self) -> str:
        """A constant: the fields say all."""
        return "gaussian"

    def load(self, folder: Path | None = None, download: bool = False) -> Parts:
        """Draw the data; the arguments are not used."""
        sizes = (self.num_train, self.num_validation, self.num_test)
        inputs = [self._drawn(size, part) for size, part in zip(sizes, Parts._fields, strict=True)]
        outputs = [self._taught(each) for each in inputs]
        centre = outputs[0].mean(0)
        true = [(each - centre).argmax(1) for each in outputs]
        targets, changed = relabelled(true[0], self.labels, self.num_classes)
        return Parts(
            VectorPart(inputs=inputs[0], targets=targets, changed=changed),
            *(
                VectorPart(inputs=x, targets=y, changed=torch.zeros(len(y), dtype=torch.bool))
                for x, y in zip(inputs[1:], true[1:], strict=True)
            ),
        )

    def _taught(
        self, inputs: Float[Tensor, "examples inputs"]
    ) -> Float[Tensor, "examples classes"]:
        features, width = inputs, self.num_inputs
        if self.teacher_units is not None:
            features = (inputs @ self._weights(width, self.teacher_units, "hidden")).relu()
            width = self.teacher_units
        return features @ self._weights(width, self.num_classes, "outputs")

    def _weights(self, rows: int, columns: int, which: str) -> Float[Tensor, "rows columns"]:
        return self._normal((rows, columns), "teacher", which) / rows**0.5

    def _drawn(self, count: int, part: str) -> Float[Tensor, "count inputs"]:
        return self._normal((count, self.num_inputs), "inputs", part)

    def _normal(self, shape: tuple[int, int], *path: str) -> Float[Tensor, "rows columns"]:
        generator = torch.Generator().manual_seed(derive(self.seed, "gaussian", *path))
        return torch.randn(shape, generator=generator)
