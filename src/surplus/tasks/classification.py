"""The family's template for image classification: split, label noise and subsets, shared by every data set."""

import hashlib
from abc import abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, NamedTuple, final

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

from surplus.base import InvalidArgument, Parts, Task, derive
from surplus.tasks.files import DataFile
from surplus.tasks.part import ImagePart


class Images(NamedTuple):
    """A data set as published."""

    train: UInt8[Tensor, "train channels height width"]
    train_labels: Int[Tensor, " train"]
    test: UInt8[Tensor, "test channels height width"]
    test_labels: Int[Tensor, " test"]


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """How the published training part becomes a train and a validation part."""

    num_validation: int = 5000
    """How many examples are set aside, drawn without replacement."""
    seed: int = 0
    """The draw; the same for all replicas of a spec, so that they are compared on the same examples."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """What is done to the labels of the train part. Validation and test keep the published ones."""

    noise: float = 0.0
    """The fraction of labels changed: exactly round(noise * n) of them get another class, uniformly."""
    random: bool = False
    """Draw every label uniformly from all classes, whatever the image shows."""
    seed: int = 0
    """The draw of the examples and of their new labels."""

    def __post_init__(self) -> None:
        if not 0 <= self.noise <= 1:
            raise InvalidArgument(
                f"`noise` is {self.noise:g}; it must lie in [0, 1]: it is the fraction of labels changed."
            )
        if self.random and self.noise:
            raise InvalidArgument("`random` replaces every label, so `noise` must be 0 with it.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Classification(Task):
    """A labelled image data set. A new one says what its constants are and how to `read` itself."""

    files: ClassVar[tuple[DataFile, ...]]
    shape: ClassVar[tuple[int, int, int]]
    classes: ClassVar[int]
    mean: ClassVar[tuple[float, ...]]
    std: ClassVar[tuple[float, ...]]
    scale: ClassVar[float] = 255.0

    split: Split = Split()
    """Train and validation."""
    labels: Labels = Labels()
    """Label noise or random labels."""
    subset: tuple[int, ...] | None = None
    """Train only on these positions of the train part (after the split); None takes all."""
    only: tuple[int, ...] | None = None
    """Keep only the examples of these classes, which become classes 0, 1 and so on; None keeps all."""

    def __post_init__(self) -> None:
        if self.only is None:
            return
        if len(set(self.only)) != len(self.only) or len(self.only) < 2:
            raise InvalidArgument(f"`only` is {self.only}; it names two or more different classes.")
        if not all(0 <= each < self.classes for each in self.only):
            raise InvalidArgument(
                f"`only` is {self.only}; the classes of `{self.kind}` are 0 to {self.classes - 1}."
            )

    @abstractmethod
    def read(self, folder: Path | None, download: bool) -> Images:
        """Return the data set as published; see `Task.load` for the arguments."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input: channels, height, width."""
        return self.shape

    @property
    def num_classes(self) -> int:
        """The number of labels."""
        return self.classes if self.only is None else len(self.only)

    @property
    def content_hash(self) -> str:
        """The hash over the published hashes of the files; `load` checks that the files have them."""
        return hashlib.sha256(" ".join(file.contents for file in self.files).encode()).hexdigest()[
            :16
        ]

    def load(self, folder: Path | None = None, download: bool = False) -> Parts:
        """Read, check, split, and apply the options; see `Task.load`."""
        images = self.read(folder, download)
        if self.only is not None:
            images = Images(
                *_of_classes(images.train, images.train_labels, self.only),
                *_of_classes(images.test, images.test_labels, self.only),
            )
        validation, train = _split(len(images.train_labels), self.split)
        published = self._part(images.train, images.train_labels)
        part = published.take(train)
        targets, changed = relabelled(part.targets, self.labels, self.num_classes)
        part = self._part(part.images, targets, changed)
        part = replace(part, published=published.targets[train])
        if self.subset is not None:
            part = part.take(_subset(self.subset, len(part)))
        return Parts(
            train=part,
            validation=published.take(validation),
            test=self._part(images.test, images.test_labels),
        )

    def _part(
        self,
        images: UInt8[Tensor, "n channels height width"],
        labels: Int[Tensor, " n"],
        changed: Bool[Tensor, " n"] | None = None,
    ) -> ImagePart:
        if changed is None:
            changed = torch.zeros(len(labels), dtype=torch.bool)
        return ImagePart(
            images=images,
            targets=labels,
            changed=changed,
            mean=self.mean,
            std=self.std,
            scale=self.scale,
        )


def _split(num_examples: int, split: Split) -> tuple[Int[Tensor, " v"], Int[Tensor, " t"]]:
    if not 0 < split.num_validation < num_examples:
        raise InvalidArgument(
            f"`num_validation` is {split.num_validation}; it must lie between 1 and {num_examples - 1},"
            " so that both parts hold examples."
        )
    generator = torch.Generator().manual_seed(derive(split.seed, "split"))
    order = torch.randperm(num_examples, generator=generator)
    validation, train = order[: split.num_validation], order[split.num_validation :]
    return validation.sort().values, train.sort().values


def _of_classes(
    images: UInt8[Tensor, "n channels height width"],
    labels: Int[Tensor, " n"],
    only: tuple[int, ...],
) -> tuple[UInt8[Tensor, "kept channels height width"], Int[Tensor, " kept"]]:
    """Return the examples of some classes, with the places of their classes in `only` as labels."""
    places = labels[:, None] == torch.tensor(only, dtype=labels.dtype)
    kept = places.any(1)
    return images[kept], places[kept].int().argmax(1)


def relabelled(
    labels: Int[Tensor, " n"], options: Labels, num_classes: int
) -> tuple[Int[Tensor, " n"], Bool[Tensor, " n"]]:
    """Return labels with what is to be done to them done, and which of them changed."""
    generator = torch.Generator().manual_seed(derive(options.seed, "labels"))
    if options.random:
        fresh = torch.randint(num_classes, labels.shape, generator=generator)
        return fresh, fresh != labels
    chosen = torch.randperm(len(labels), generator=generator)[: round(options.noise * len(labels))]
    # A shift by 1 to C - 1 classes is uniform over the other classes, so every chosen label does change.
    shift = torch.randint(1, num_classes, chosen.shape, generator=generator)
    noisy = labels.clone()
    noisy[chosen] = (labels[chosen] + shift) % num_classes
    return noisy, noisy != labels


def _subset(subset: tuple[int, ...], num_train: int) -> Int[Tensor, " chosen"]:
    outside = [place for place in subset if not 0 <= place < num_train]
    if outside:
        raise InvalidArgument(
            f"`subset` holds {outside[0]}; positions in the train part run from 0 to {num_train - 1}."
        )
    return torch.tensor(subset, dtype=torch.int64)
