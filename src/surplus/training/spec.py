"""The spec of a run: net, task, training, interventions, start. Seed-free; its fingerprint is the run's address."""

from dataclasses import dataclass
from typing import Literal, final

from surplus.base import Clock, Intervention, InvalidArgument, Moments, Net, Probe, Schedule, Task
from surplus.edits import Edits
from surplus.masks import Mask
from surplus.training.moments.each_epoch import EachEpoch
from surplus.training.moments.every_steps import EverySteps
from surplus.training.optimizer import Optimizer
from surplus.training.optimizers.sgd import SGD
from surplus.training.probes.evaluation import Evaluation
from surplus.training.schedules.constant import Constant


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """How a network is trained, for how long, and what is kept of it."""

    optimizer: Optimizer = SGD()
    """The optimiser."""
    schedule: Schedule = Constant()
    """The factor on the learning rate, step by step."""
    batch_size: int = 128
    """Examples per update; the remainder of an epoch is left out, a different one each time."""
    num_epochs: int | None = None
    """The length in passes over the train part; give this or `num_steps`."""
    num_steps: int | None = None
    """The length in updates; give this or `num_epochs`."""
    snapshots: Moments = EachEpoch()
    """When to keep the weights for good; the first and the last state are always kept."""
    forks: tuple[int, ...] = ()
    """Steps at which everything needed to go on is kept for good, so that other runs can start there."""
    log: Moments = EverySteps(every=100)
    """When to write the mean training loss since the last time."""
    probes: tuple[Probe, ...] = (Evaluation(),)
    """What to look at, and when."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """The type of the forward and backward pass; "bfloat16" is automatic mixed precision, weights stay float32."""
    compile: str | None = None
    """Compile the step with this backend of `torch.compile` ("inductor" needs a C++ compiler); None runs it eagerly."""

    def __post_init__(self) -> None:
        if (self.num_epochs is None) == (self.num_steps is None):
            raise InvalidArgument(
                f"`num_epochs` is {self.num_epochs} and `num_steps` is {self.num_steps}: give exactly one."
            )
        if (self.num_epochs or self.num_steps or 0) < 1:
            raise InvalidArgument(
                "A run must last at least one step: `num_epochs` or `num_steps` is below 1."
            )
        if self.batch_size < 1:
            raise InvalidArgument(f"`batch_size` is {self.batch_size}; it must be at least 1.")
        self.optimizer.num_groups(self.batch_size)  # refuses a batch that it cannot divide
        if any(step < 0 for step in self.forks):
            raise InvalidArgument(f"`forks` is {self.forks}; it holds steps, counted from 0.")

    def clock(self, num_train: int) -> Clock:
        """Return the run's length, given the number of training examples.

        Raises:
            InvalidArgument: the train part holds less than one batch, or a fork lies beyond the end.
        """
        steps_per_epoch = num_train // self.batch_size
        if steps_per_epoch == 0:
            raise InvalidArgument(
                f"`batch_size` is {self.batch_size}, but the train part holds only {num_train} examples."
            )
        num_steps = self.num_steps or (self.num_epochs or 0) * steps_per_epoch
        if any(step > num_steps for step in self.forks):
            raise InvalidArgument(f"`forks` is {self.forks}, but the run ends at step {num_steps}.")
        return Clock(num_steps, steps_per_epoch)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class From:
    """Where a run begins if not at initialisation: in another run, at a step. Steps are counted on from there."""

    run: str
    """The fingerprint of the other run's spec."""
    step: int
    """The step at which to begin."""
    seed: int | None = None
    """The other run's seed; None takes this run's own, which also means the same batches."""
    mask: Mask | None = None
    """A mask to keep to from the start."""
    edits: Edits | None = None
    """Cuts to make on the network first."""
    optimizer: bool = True
    """Carry the optimiser's state along (the other run needs `Training.forks` there); False begins with a fresh one."""

    def __post_init__(self) -> None:
        others = [kind for kind in (self.edits or Edits()).kinds if kind != "cut"]
        if others:
            raise InvalidArgument(
                f"`edits` contain a step of kind {others[0]!r}, which gave the network weights that the record does not"
                " hold, so that a run cannot begin with it. Only cuts can be repeated on the weights of another run."
            )


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Spec:
    """All that decides a run but its seed."""

    net: Net
    """The network."""
    task: Task
    """What it learns."""
    training: Training
    """How it is trained."""
    interventions: tuple[Intervention, ...] = ()
    """What may change the run while it goes on, in this order."""
    start: From | None = None
    """Where to begin; None is initialisation."""
