"""Which engine trains a network: chains train as one batched model, everything else module by module."""

import functools
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from surplus.base import Loss, Net, Part
from surplus.masks import Mask
from surplus.passes import Performance
from surplus.tasks.losses.cross_entropy import CROSS_ENTROPY
from surplus.training.fleet import Fleet
from surplus.training.modules import Modules
from surplus.training.spec import Spec, Training
from surplus.units import is_chain

EngineName = Literal["fleet", "module"]


@runtime_checkable
class Engine(Protocol):
    """Replicas of one network and how they are trained; `Fleet` says what each method does."""

    template: nn.Module
    """The first replica's network as it was given, in evaluation mode on the CPU: for shapes, not for values."""

    def __len__(self) -> int:
        """Return the number of replicas."""
        ...

    @property
    def loss_count(self) -> int:
        """The number of updates since the losses were last taken."""
        ...

    def step(
        self,
        step: int,
        inputs: Float[Tensor, "replicas batch ..."],
        targets: Shaped[Tensor, "replicas batch ..."],
        amount: float,
    ) -> None:
        """Update every replica once."""
        ...

    def performance(self, part: Part) -> list[Performance]:
        """Return the loss and accuracy of every replica on a part."""
        ...

    def model(self, replica: int) -> nn.Module:
        """Return a copy of one replica as an ordinary module."""
        ...

    def tensors(self, replica: int) -> dict[str, Shaped[Tensor, "..."]]:
        """Return one replica's parameters and buffers by name."""
        ...

    def load(self, replica: int, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> None:
        """Set one replica's parameters and buffers."""
        ...

    def set_mask(self, replica: int, mask: Mask) -> None:
        """Make one replica keep to a mask from now on."""
        ...

    def optimizer_tensors(self, replica: int) -> dict[str, Shaped[Tensor, "..."]]:
        """Return one replica's optimiser state."""
        ...

    def load_optimizer(self, replica: int, tensors: Mapping[str, Shaped[Tensor, "..."]]) -> None:
        """Set one replica's optimiser state."""
        ...

    def take_losses(self) -> list[float]:
        """Return each replica's mean training loss since the last call."""
        ...


def engine_name(model: nn.Module) -> EngineName:
    """Return the name of the engine that trains a network: the one place where that is decided."""
    return "fleet" if is_chain(model) else "module"


def make_engine(
    models: Sequence[nn.Module],
    trainings: Sequence[Training],
    seeds: Sequence[int],
    device: torch.device,
    loss: Loss = CROSS_ENTROPY,
) -> Engine:
    """Return the engine for replicas; see `Fleet` and `Modules` for what they take and refuse."""
    kind = Fleet if engine_name(models[0]) == "fleet" else Modules
    return kind(models, trainings, seeds, device, loss)


def engine_of(spec: Spec) -> EngineName:
    """Return the name of the engine that trains the network of a spec."""
    return _engine_of(spec.net, spec.task.input_shape, spec.task.num_classes)


@functools.lru_cache
def _engine_of(net: Net, input_shape: tuple[int, ...], num_classes: int) -> EngineName:
    with torch.random.fork_rng(devices=[]):
        try:
            # Shapes without numbers: what is asked is how the network is put together.
            with torch.device("meta"):
                model = net.build(input_shape, num_classes, seed=0)
        except (NotImplementedError, RuntimeError):  # it looks at its numbers
            model = net.build(input_shape, num_classes, seed=0)
    return engine_name(model)
