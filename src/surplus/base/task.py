"""The family of tasks: what a network learns."""

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from surplus.base.family import Family, lookup
from surplus.base.loss import Loss

if TYPE_CHECKING:
    import torch


@runtime_checkable
class Part(Protocol):
    """One part of a task, held in memory; batches are taken by index."""

    def __len__(self) -> int:
        """Return the number of examples."""
        ...

    def __iter__(self) -> "Iterator[tuple[torch.Tensor, torch.Tensor]]":
        """Yield (inputs, targets) batches in order, ready for a network."""
        ...

    def batch(self, index: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
        """Return the inputs and targets at the given positions; `index` may have any shape."""
        ...

    @property
    def targets(self) -> "torch.Tensor":
        """What is wanted of each example: a label, which is a whole number, or numbers to come near."""
        ...


class Parts(NamedTuple):
    """A task's data. What is chosen is chosen on `validation`; `test` is only reported."""

    train: Part
    validation: Part
    test: Part


class Task(Family):
    """A data set with its options, a number of classes and the shape of an input."""

    __slots__ = ()

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, without the batch axis."""
        raise NotImplementedError

    @property
    def num_classes(self) -> int:
        """The number of labels; for a task without labels, of the numbers that an output consists of."""
        raise NotImplementedError

    @property
    def loss(self) -> Loss:
        """What training makes small: the cross-entropy, unless a member says otherwise."""
        return lookup(
            Loss, "cross-entropy"
        )()  # its file lies in `tasks`, which may not be imported here

    @property
    def content_hash(self) -> str:
        """The hash of the data's contents; part of every run's fingerprint."""
        raise NotImplementedError

    @abstractmethod
    def load(self, folder: Path | None = None, download: bool = False) -> Parts:
        """Read the data into memory and split it.

        Args:
            folder: Where the data sets lie; None takes `$SURPLUS_DATA`, else the user's cache folder.
            download: Whether a missing file may be fetched from its publisher (hash-checked).

        Raises:
            DataMissing: A file is not there and `download` is False.
            CorruptFile: A file's contents are not the published ones.
        """
