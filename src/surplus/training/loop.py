"""The one closed loop: replicas of one step shape in, events, snapshots and trained networks out."""

import math
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor, nn

from surplus.base import Clock, InvalidArgument, Parts, RawTensor, Recorder
from surplus.edits import from_raw, to_raw
from surplus.masks import Mask
from surplus.training.engine import make_engine
from surplus.training.interrupts import Interrupts
from surplus.training.optimizers.subspace import subspace_of
from surplus.training.order import Order
from surplus.training.progress import Progress, Silent
from surplus.training.spec import Spec
from surplus.training.state import Evaluated, ReplicaState, example_of
from surplus.units import find_units


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Member:
    """One run of a fleet: what to train, where it stands, and who takes its record."""

    spec: Spec
    seed: int
    model: nn.Module
    """The network in the state at `step`."""
    recorder: Recorder
    step: int = 0
    mask: Mask | None = None
    optimizer: Mapping[str, Tensor] | None = None
    """The optimiser's state at `step`; None begins with a fresh one."""
    resumed: bool = False
    """Whether everything due at `step` was done before the run was stopped there."""


def train_fleet(
    members: Sequence[Member],
    parts: Parts,
    device: torch.device | None = None,
    progress: Progress | None = None,
) -> list[nn.Module]:
    """Train replicas together and return the networks at the end, in evaluation mode on the CPU.

    At each step, in this order: interventions change the run, probes look at it, a snapshot and a checkpoint are kept;
    then comes the update. A replica's record is bit for bit the one it would have had alone (one torch thread).

    Args:
        members: Runs of one net shape, one task and one step shape, which stand at the same step. They may differ in
            seed, learning rate, weight decay, mask and interventions.
        parts: The task's data, on `device`.
        device: Where to train; None is the CPU.
        progress: Is told the steps done.

    Raises:
        InvalidArgument: the members cannot form a fleet.
        KeyboardInterrupt: Ctrl-C was pressed; every run was checkpointed first and can be resumed.
        StorageFailure: the record could not be written.
    """
    return _Loop(members, parts, device or torch.device("cpu"), progress or Silent()).run()


@final
class _Loop:
    def __init__(
        self, members: Sequence[Member], parts: Parts, device: torch.device, progress: Progress
    ) -> None:
        _check(members)
        self.members = list(members)
        self.parts = parts
        self.progress = progress
        self.training = members[0].spec.training
        self.clock: Clock = self.training.clock(len(parts.train))
        self.step = members[0].step
        self.device = device
        self.fleet = make_engine(
            [member.model for member in members],
            [member.spec.training for member in members],
            [member.seed for member in members],
            device,
            members[0].spec.task.loss,
        )
        self.masks: list[Mask | None] = [None] * len(members)
        for place, member in enumerate(members):
            if member.optimizer is not None:
                self.fleet.load_optimizer(place, member.optimizer)
            if member.mask is not None:
                self._mask(place, member.mask)
        self.orders = [
            Order(member.seed, len(parts.train), self.training.batch_size, self.clock)
            for member in members
        ]
        self.due = _Due(self.members, self.clock)
        self.diverged: set[int] = set()

    def run(self) -> list[nn.Module]:
        with Interrupts() as interrupts:
            begun = self.step
            while True:
                if not (self.step == begun and self.members[0].resumed):
                    self._attend()
                if self.step >= self.clock.num_steps or len(self.diverged) == len(self.members):
                    break
                if interrupts.asked is not None:
                    self._stop(interrupts.asked)
                self._update()
        for place, member in enumerate(self.members):
            if place not in self.diverged:
                member.recorder.finish("complete", self.step)
        return [self.fleet.model(place) for place in range(len(self.members))]

    def _update(self) -> None:
        index = torch.stack([order.batch(self.step) for order in self.orders]).to(self.device)
        inputs, targets = self.parts.train.batch(index)
        amount = self.training.schedule.amount(self.step, self.clock)
        self.fleet.step(self.step, inputs, targets, amount)
        self.step += 1

    def _attend(self) -> None:
        """Do what is due at this step, for every replica that still runs."""
        for place in self._running():
            self._intervene(place)
        if self.step in self.due.log:
            self._log()
        evaluated = Evaluated(self.fleet, self.parts)
        for place in self._running():
            member = self.members[place]
            for probe, steps in self.due.probes[place]:
                if self.step in steps:
                    values = probe.look(self._state(place, evaluated))
                    member.recorder.event(probe.kind, self.step, values)
            if self.step in self.due.snapshots:
                member.recorder.snapshot(self.step, _raw(self._weights(place)))
            if self.step in self.due.checkpoints:
                self._checkpoint(place, keep=self.step in self.training.forks)

    def _intervene(self, place: int) -> None:
        member = self.members[place]
        for intervention in member.spec.interventions:
            state = self._state(place, Evaluated(self.fleet, self.parts))
            change = intervention.intervene(state)
            if change is None:
                continue
            if change.weights:
                self._set_weights(place, change.weights)
            if change.mask is not None:
                self._mask(place, change.mask)
            member.recorder.event(
                "intervention", self.step, {"by": intervention.kind, **change.record}
            )

    def _log(self) -> None:
        seen = self.fleet.loss_count
        means = self.fleet.take_losses()
        self.progress.update(self.step, f"loss {means[0]:.4f}" if seen else "")
        for place in self._running():
            if not seen:
                continue
            member = self.members[place]
            member.recorder.event("train", self.step, {"loss": means[place]})
            if not math.isfinite(means[place]):
                self.diverged.add(place)
                member.recorder.finish("diverged", self.step)

    def _mask(self, place: int, mask: Mask) -> None:
        if mask.over == "units" and mask.units is None:
            mask = mask.bind(find_units(self.fleet.template, example_of(self.parts)))
        self.masks[place] = mask
        self.fleet.set_mask(place, mask)

    def _set_weights(self, place: int, weights: Mapping[str, Tensor]) -> None:
        """Give a replica's parameters the values that an intervention asks for."""
        if subspace_of(self.members[place].spec.training.optimizer) is not None:
            raise InvalidArgument(
                "An intervention asks for new weights, but the run trains in a random subspace, in which they do not"
                " lie. Train with another optimiser, or leave the intervention out."
            )
        self.fleet.load(place, {**self.fleet.tensors(place), **weights})
        mask = self.masks[place]
        if mask is not None:
            self.fleet.set_mask(place, mask)

    def _state(self, place: int, evaluated: Evaluated) -> ReplicaState:
        return ReplicaState(
            self.fleet,
            place,
            self.step,
            self.clock,
            self.members[place].seed,
            self.parts,
            self.masks[place],
            evaluated,
        )

    def _weights(self, place: int) -> dict[str, Tensor]:
        tensors = self.fleet.tensors(place)
        mask = self.masks[place]
        if mask is not None:
            tensors |= {f"mask/{mask.over}/{name}": kept for name, kept in mask.kept.items()}
        return tensors

    def _checkpoint(self, place: int, *, keep: bool) -> None:
        tensors = self._weights(place)
        state = self.fleet.optimizer_tensors(place)
        tensors |= {f"optimizer/{name}": tensor for name, tensor in state.items()}
        self.members[place].recorder.checkpoint(self.step, _raw(tensors), keep=keep)

    def _stop(self, asked: signal.Signals) -> None:
        for place in self._running():
            self._checkpoint(place, keep=False)
        raise KeyboardInterrupt(f"stopped by {asked.name} at step {self.step}")

    def _running(self) -> list[int]:
        return [place for place in range(len(self.members)) if place not in self.diverged]


@final
class _Due:
    """The steps at which something happens, computed once."""

    def __init__(self, members: Sequence[Member], clock: Clock) -> None:
        training, start = members[0].spec.training, members[0].spec.start
        begin = 0 if start is None else start.step
        self.snapshots = {*training.snapshots.steps(clock), begin, clock.num_steps}
        self.checkpoints = self.snapshots | set(training.forks)
        self.log = set(training.log.steps(clock)) | {clock.num_steps}
        self.probes = [
            [(probe, set(probe.at.steps(clock))) for probe in member.spec.training.probes]
            for member in members
        ]


def split_state(
    tensors: Mapping[str, RawTensor],
) -> tuple[dict[str, Tensor], Mask | None, dict[str, Tensor]]:
    """Take the tensors of a snapshot or checkpoint apart: weights, mask, optimiser state."""
    weights: dict[str, Tensor] = {}
    optimizer: dict[str, Tensor] = {}
    kept: dict[str, dict[str, Tensor]] = {"units": {}, "weights": {}}
    for name, raw in tensors.items():
        kind, _, rest = name.partition("/")
        if kind == "mask" and rest:
            over, _, group = rest.partition("/")
            kept[over][group] = from_raw(raw)
        elif kind == "optimizer" and rest:
            optimizer[rest] = from_raw(raw)
        else:
            weights[name] = from_raw(raw)
    mask = None
    if kept["units"]:
        mask = Mask(kept["units"], "units")
    elif kept["weights"]:
        mask = Mask(kept["weights"], "weights")
    return weights, mask, optimizer


def _raw(tensors: Mapping[str, Tensor]) -> dict[str, RawTensor]:
    return {name: to_raw(tensor) for name, tensor in tensors.items()}


def _check(members: Sequence[Member]) -> None:
    if not members:
        raise InvalidArgument("A fleet needs at least one run.")
    first = members[0]
    for member in members[1:]:
        if fleet_key(member) != fleet_key(first):
            raise InvalidArgument(
                "Runs of one fleet must have the same net, task, training and step; they may differ in seed, learning"
                f" rate, weight decay, mask and interventions. These differ: {first.spec} and {member.spec}."
            )


def fleet_key(member: Member) -> object:
    """Return what runs must share to be trained as one fleet: net, task, step shape, and where they stand."""
    spec = member.spec
    optimizer = spec.training.optimizer.with_rates(learning_rate=1.0, weight_decay=0.0)
    training = replace(spec.training, optimizer=optimizer)
    edits = None if spec.start is None else spec.start.edits
    begun = 0 if spec.start is None else spec.start.step
    counts = None
    if member.optimizer is not None:  # a fleet counts its updates and losses once for all
        counts = tuple(int(member.optimizer[name]) for name in ("updates", "loss_count"))
    return spec.net, spec.task, training, begun, edits, member.step, member.resumed, counts
