"""The family's template for tasks that are made, not read, from directions that are known."""

import hashlib
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.base import Parts, Task, derive


@dataclass(frozen=True, kw_only=True, slots=True)
class Synthetic(Task):
    """A task whose data are drawn by its fields. A new one says its shapes and its directions, and how to `make` it."""

    @property
    def directions(self) -> Float[Tensor, "directions features"]:
        """The vectors that the task is made of, in the space of a first layer's weight vectors."""
        raise NotImplementedError

    @abstractmethod
    def make(self) -> Parts:
        """Draw the data; the same fields draw the same data."""

    @property
    def content_hash(self) -> str:
        """The hash of the task's name and version: the fields, which stand in the spec, say the rest."""
        return hashlib.sha256(f"{self.kind} {self.version}".encode()).hexdigest()[:16]

    def load(self, folder: Path | None = None, download: bool = False) -> Parts:
        """Draw the data; the arguments are not used. See `Task.load`."""
        return self.make()


def stream(seed: int, *names: str | int) -> torch.Generator:
    """Return the random stream of a name under a seed."""
    return torch.Generator().manual_seed(derive(seed, *names))
