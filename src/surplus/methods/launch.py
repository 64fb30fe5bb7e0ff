"""`train`: execute specs with seeds, in fleets where they fit together; go on with what was interrupted."""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import final

from torch import Tensor, nn

from surplus.base import InvalidArgument, Saved, UnknownName, encode, label
from surplus.edits import Edits, replay_, sliced, sliced_mask
from surplus.masks import Mask
from surplus.methods.context import Context
from surplus.methods.runs import address, identity, origin_of, spec_of
from surplus.store import Run, Writer
from surplus.training import (
    From,
    Member,
    Spec,
    environment,
    fleet_key,
    progress,
    split_state,
    train_fleet,
)
from surplus.training.optimizers.subspace import subspace_of

FLEET = 16  # replicas trained together; more no longer fit a processor's cache


def train(spec: Spec, seeds: Sequence[int] = (0,), context: Context | None = None) -> list[Run]:
    """Train a spec with each of the seeds and return the runs.

    Args:
        spec: What to train.
        seeds: The replicas. They train together as a fleet; each gets the record it would have had alone.
        context: Where to work; None keeps runs in `./runs`.

    Raises:
        InvalidArgument: a seed is not a whole number from 0 on, or there is none; or the spec cannot be trained.
        DataMissing: the task's files are not where they were looked for.
        UnknownName: the spec starts from a run that is not there.
        RunBusy: another process is writing one of the runs.
        StorageFailure: the disk is full or the folder cannot be written; the same call goes on from there.
        KeyboardInterrupt: Ctrl-C was pressed; what was done is kept, and the same call goes on from there.
    """
    seeds = [seeds] if isinstance(seeds, int) else list(seeds)
    if not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise InvalidArgument(
            f"`seeds` is {seeds}; it takes at least one whole number from 0 on, as in seeds=[0, 1, 2]."
        )
    return train_all([(spec, seed) for seed in seeds], context)


def train_all(
    wanted: Sequence[tuple[Spec, int]], context: Context | None = None, made_by: str | None = None
) -> list[Run]:
    """Bring every wanted run to its end and return them in order; those that have ended are left as they are.

    Args:
        wanted: Specs with seeds, in any mixture. What can train as one fleet does.
        context: Where to work; None keeps runs in `./runs`.
        made_by: The method that makes them for its own use; `last` does not mean such a run.

    Raises: as `train`.
    """
    context = context or Context()
    runs = [context.store.run(address(spec), seed) for spec, seed in wanted]
    todo = {
        run.name: (spec, seed, run)
        for (spec, seed), run in zip(wanted, runs, strict=True)
        if not run.is_sealed()
    }
    for spec, _, _ in todo.values():  # missing data are an error before a run's folder is made
        context.parts(spec.task)
    with context.threaded(), ExitStack() as locks:
        trainees = []
        for spec, seed, run in todo.values():
            trainee = _open(spec, seed, run, context, made_by)
            locks.callback(trainee.writer.release)
            trainees.append(trainee)
        for group in _fleets(trainees):
            _train_group([trainee.member for trainee in group], context)
    return runs


@final
@dataclass(frozen=True, eq=False)
class _Trainee:
    member: Member
    writer: Writer


def _open(spec: Spec, seed: int, run: Run, context: Context, made_by: str | None) -> _Trainee:
    """Lock a run, and set its network to where it stopped or where it begins."""
    document = {
        "fingerprint": run.fingerprint,
        "seed": seed,
        "identity": identity(spec),
        "spec": encode(spec),
    }
    if made_by is not None:
        document["made_by"] = made_by
    begin = _Beginning(spec, seed, context)
    writer = Writer(run, document, environment(context.torch_device()))
    if writer.changed:
        changes = ", ".join(f"{key} is now {value}" for key, value in writer.changed.items())
        warnings.warn(f"{run.name} goes on in another environment: {changes}.", stacklevel=2)
    try:
        saved = writer.latest()
        member = begin.resumed(saved, writer) if saved is not None else begin.fresh(writer)
    except BaseException:
        writer.release()
        raise
    return _Trainee(member, writer)


@final
class _Beginning:
    """Builds the network of a run and gives it the values of its start."""

    def __init__(self, spec: Spec, seed: int, context: Context) -> None:
        self._spec = spec
        self._seed = seed
        self._context = context
        self._inherited = self._inherit(spec.start) if spec.start is not None else None

    def fresh(self, writer: Writer) -> Member:
        """Return the run at its first step."""
        if writer.has_events():  # stopped before its first checkpoint: what it wrote counts no more
            writer.event("resume", -1, {})
        if self._inherited is None:
            return self._member(self._built(None), writer, 0, None, None, resumed=False)
        assert self._spec.start is not None
        model, mask, optimizer = self._inherited
        return self._member(model, writer, self._spec.start.step, mask, optimizer, resumed=False)

    def resumed(self, saved: Saved, writer: Writer) -> Member:
        """Return the run at its newest checkpoint."""
        writer.event("resume", saved.step, {})
        weights, mask, optimizer = split_state(saved.tensors)
        model = self._built(self._spec.start.edits if self._spec.start is not None else None)
        model.load_state_dict(weights, strict=True)
        return self._member(model, writer, saved.step, mask, optimizer, resumed=True)

    def _member(
        self,
        model: nn.Module,
        writer: Writer,
        step: int,
        mask: Mask | None,
        optimizer: dict[str, Tensor] | None,
        *,
        resumed: bool,
    ) -> Member:
        return Member(
            spec=self._spec,
            seed=self._seed,
            model=model,
            recorder=writer,
            step=step,
            mask=mask,
            optimizer=optimizer,
            resumed=resumed,
        )

    def _built(self, edits: Edits | None) -> nn.Module:
        origin = origin_of(self._spec)
        model = origin.net.build(origin.input_shape, origin.num_classes, self._seed)
        if edits is not None:
            replay_(model, edits)
        return model

    def _inherit(self, start: From) -> tuple[nn.Module, Mask | None, dict[str, Tensor] | None]:
        """Return network, mask and optimiser state that a run takes over from another."""
        seed = self._seed if start.seed is None else start.seed
        parent = self._context.store.run(start.run, seed)
        if not parent.path.is_dir():
            raise UnknownName(
                f"This run starts from {parent.name}, which is not in {self._context.store.root}. Train it first."
            )
        tensors = (
            parent.checkpoint(start.step).tensors
            if start.optimizer
            else parent.snapshot(start.step).tensors
        )
        weights, mask, optimizer = split_state(tensors)
        if optimizer:
            self._check_subspace(start, seed, parent)
        model = self._built(None)
        model.load_state_dict(weights, strict=True)
        if start.edits is not None:
            replay_(model, start.edits)
            optimizer = _sliced_optimizer(optimizer, start.edits)
            mask = None if mask is None else sliced_mask(mask, start.edits)
        if start.mask is not None:
            mask = start.mask if mask is None else mask & start.mask
        _check_slots(optimizer, self._spec, parent)
        return model, mask, optimizer or None

    def _check_subspace(self, start: From, seed: int, parent: Run) -> None:
        """Refuse coordinates in another random subspace than this run's own."""
        mine, theirs = (
            None if each is None else (each.dimension, each.projection)
            for each in (
                subspace_of(self._spec.training.optimizer),
                subspace_of(spec_of(parent).training.optimizer),
            )
        )
        if mine is None and theirs is None:
            return
        if mine != theirs or seed != self._seed or start.edits is not None:
            raise InvalidArgument(
                f"{parent.name} and this run do not train in the same random subspace: that takes the same `dimension`,"
                " `projection` and seed, and no cuts. Begin afresh: From(..., optimizer=False)."
            )


def _sliced_optimizer(state: dict[str, Tensor], edits: Edits) -> dict[str, Tensor]:
    """Cut the optimiser's state along with the parameters; its slots are named `slot/parameter`."""
    slots: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        slot, _, parameter = name.partition("/")
        slots.setdefault(slot, {})[parameter] = tensor
    return {
        f"{slot}/{parameter}" if parameter else slot: tensor
        for slot, tensors in slots.items()
        for parameter, tensor in sliced(tensors, edits).items()
    }


def _check_slots(state: Mapping[str, Tensor], spec: Spec, parent: Run) -> None:
    """Refuse an optimiser's state that another optimiser left behind."""
    found = {name.partition("/")[0] for name in state if "/" in name}
    if state and found != set(spec.training.optimizer.slots):
        raise InvalidArgument(
            f"This run trains with {label(spec.training.optimizer)}, but {parent.name} left the state of another"
            f" optimiser ({', '.join(sorted(found)) or 'no slots'}). Begin afresh: From(..., optimizer=False)."
        )


def _fleets(trainees: Sequence[_Trainee]) -> list[list[_Trainee]]:
    """Put together what may train together, at most `FLEET` at a time."""
    groups: dict[object, list[_Trainee]] = {}
    for trainee in trainees:
        member = trainee.member
        groups.setdefault(fleet_key(member), []).append(trainee)
    return [
        group[start : start + FLEET]
        for group in groups.values()
        for start in range(0, len(group), FLEET)
    ]


def _train_group(members: list[Member], context: Context) -> None:
    spec = members[0].spec
    device = context.torch_device()
    parts = context.parts(spec.task)
    if device.type != "cpu":
        parts = type(parts)(*(part.to(device) for part in parts))  # type: ignore[attr-defined]
    total = spec.training.clock(len(parts.train)).num_steps
    count = f" x {len(members)}" if len(members) > 1 else ""
    title = f"{spec.net.kind} on {spec.task.kind}{count}"
    with progress(title, total, "steps", context.progress) as shown:
        train_fleet(members, parts, device, shown)
