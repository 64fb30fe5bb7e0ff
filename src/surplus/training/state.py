"""What probes and interventions see of a run: one replica of the fleet at one step."""

from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor, nn

from surplus.base import Clock, Part, Parts, unknown_name
from surplus.masks import Mask
from surplus.passes import Performance
from surplus.training.engine import Engine


@final
class Evaluated:
    """The fleet's losses and accuracies at one step, each part run at most once for all replicas and probes."""

    def __init__(self, fleet: Engine, parts: Parts) -> None:
        self._fleet = fleet
        self._parts = parts
        self._found: dict[str, list[Performance]] = {}

    def on(self, part: str, replica: int) -> Performance:
        """Return one replica's loss and accuracy on a part."""
        if part not in self._found:
            self._found[part] = self._fleet.performance(_part(self._parts, part))
        return self._found[part][replica]


@final
@dataclass(frozen=True, eq=False)
class ReplicaState:
    """Implements `RunState`; what is costly is computed when it is first asked for."""

    fleet: Engine
    replica: int
    step: int
    clock: Clock
    seed: int
    parts: Parts
    mask: Mask | None
    evaluated: Evaluated

    @cached_property
    def model(self) -> nn.Module:
        """A copy of the network in evaluation mode, on the CPU."""
        return self.fleet.model(self.replica)

    @property
    def example(self) -> Tensor:
        """The first two inputs of the train part."""
        return example_of(self.parts)

    def performance(self, part: str) -> Performance:
        """Return loss and accuracy on a part."""
        return self.evaluated.on(part, self.replica)


def example_of(parts: Parts) -> Tensor:
    """Return the inputs that networks of a task are traced on: the first two of the train part, on the CPU."""
    train = parts.train
    inputs, _ = train.batch(torch.arange(min(2, len(train)), device=train.targets.device))
    return inputs.cpu()


def _part(parts: Parts, name: str) -> Part:
    if name not in Parts._fields:
        raise unknown_name("part", name, Parts._fields)
    part: Part = getattr(parts, name)
    return part
