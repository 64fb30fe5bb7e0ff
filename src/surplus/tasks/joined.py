"""Two data sets as one."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, cast

import torch

from surplus.base import InvalidArgument, Parts, Task, register
from surplus.tasks.classification import Classification
from surplus.tasks.fashion_mnist import FashionMNIST
from surplus.tasks.mnist import MNIST
from surplus.tasks.part import ImagePart


@register("joined")
@dataclass(frozen=True, kw_only=True, slots=True)
class Joined(Task):
    """The examples of two data sets whose images have one shape; the classes of the second follow those of the first.

    Each is split, and its labels changed, by its own options. All images are standardised alike, by the mean and the
    deviation that the two have together when they count the same.

    Reference: lecun1998gradient; xiao2017fashion, whose images have the shape of MNIST's on purpose.
    """

    references: ClassVar = ("lecun1998gradient", "xiao2017fashion")

    first: Classification = MNIST()
    """The data set with the lower labels."""
    second: Classification = FashionMNIST()
    """The data set with the higher labels."""

    def __post_init__(self) -> None:
        if self.first.shape != self.second.shape or self.first.scale != self.second.scale:
            raise InvalidArgument(
                f"`first` has images of shape {self.first.shape} and `second` of {self.second.shape}; data sets that"
                " are joined have images of one shape, and pixels of one scale."
            )

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input: channels, height, width."""
        return self.first.input_shape

    @property
    def num_classes(self) -> int:
        """The number of labels."""
        return self.first.num_classes + self.second.num_classes

    @property
    def content_hash(self) -> str:
        """The hashes of both."""
        return f"{self.first.content_hash}+{self.second.content_hash}"

    def load(self, folder: Path | None = None, download: bool = False) -> Parts:
        """Read both; see `Task.load`."""
        pairs = zip(
            self.first.load(folder, download), self.second.load(folder, download), strict=True
        )
        return Parts(
            *(
                self._together(cast(ImagePart, some), cast(ImagePart, other))
                for some, other in pairs
            )
        )

    def _together(self, some: ImagePart, other: ImagePart) -> ImagePart:
        means = torch.tensor([some.mean, other.mean], dtype=torch.float64)
        squares = torch.tensor([some.std, other.std], dtype=torch.float64).square() + means.square()
        mean = means.mean(0)
        return replace(
            some,
            images=torch.cat([some.images, other.images]),
            targets=torch.cat([some.targets, other.targets + self.first.num_classes]),
            changed=torch.cat([some.changed, other.changed]),
            published=torch.cat(
                [
                    some.as_published().targets,
                    other.as_published().targets + self.first.num_classes,
                ]
            ),
            mean=tuple(mean.tolist()),
            std=tuple((squares.mean(0) - mean.square()).sqrt().tolist()),
        )
