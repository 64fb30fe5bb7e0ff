"""The family of probes, and the state of a run that probes and interventions see."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from surplus.base.clock import Clock
from surplus.base.family import Family
from surplus.base.moments import Moments
from surplus.base.task import Parts

if TYPE_CHECKING:
    import torch
    from torch import nn


@runtime_checkable
class Performance(Protocol):
    """How well a network does on some data."""

    @property
    def loss(self) -> float:
        """The mean of the task's loss."""
        ...

    @property
    def accuracy(self) -> float | None:
        """The fraction of examples that are right; None for a task without labels."""
        ...


@runtime_checkable
class RunState(Protocol):
    """One replica at one step, as probes and interventions see it."""

    @property
    def step(self) -> int:
        """How many updates lie behind this state."""
        ...

    @property
    def clock(self) -> Clock:
        """The run's length and epochs."""
        ...

    @property
    def seed(self) -> int:
        """The replica's seed."""
        ...

    @property
    def parts(self) -> Parts:
        """The task's train, validation and test parts."""
        ...

    def performance(self, part: str) -> "Performance":
        """Return loss and accuracy on a part ("train", "validation" or "test")."""
        ...

    @property
    def model(self) -> "nn.Module":
        """A copy of the network in evaluation mode; changing it changes nothing in the run."""
        ...

    @property
    def example(self) -> "torch.Tensor":
        """A small batch of inputs, for tracing."""
        ...

    @property
    def mask(self) -> Any:
        """The mask that training keeps to, or None."""
        ...


class Probe(Family):
    """Looks at a run at chosen steps and records what it saw; it changes nothing."""

    __slots__ = ()

    at: Moments
    """When to look. Every probe has this field."""

    @abstractmethod
    def look(self, state: RunState) -> Mapping[str, Any]:
        """Return what to record: numbers, or lists of numbers by name."""
