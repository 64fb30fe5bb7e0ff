"""Small specs and runs for the tests of training, methods and the command line."""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from planted import Stripes, TinyConv, TinyMLP, TinyResidual
from surplus.base import Net, Nowhere, Parts
from surplus.methods import Context, train
from surplus.store import Run, Store
from surplus.training import Member, Order, Spec, Training
from surplus.training.moments import AtSteps, EverySteps
from surplus.training.optimizers import (
    SGD,
    Adam,
    AdamW,
    MedianOfThree,
    RollingMedian,
    Subspace,
    Winsorised,
)
from surplus.training.probes import Evaluation
from surplus.training.projections import Sparse

NETS: dict[str, Net] = {
    "mlp": TinyMLP(),
    "dropout": TinyMLP(dropout=0.4),
    "no-bias": TinyMLP(bias=False),
    "conv": TinyConv(),
    "residual": TinyResidual(dropout=0.3),
}
OPTIMIZERS = {
    "sgd": SGD(learning_rate=0.05, momentum=0.9, weight_decay=1e-3),
    "nesterov": SGD(learning_rate=0.05, momentum=0.9, nesterov=True),
    "adam": Adam(learning_rate=0.01),
    "adamw": AdamW(learning_rate=0.01, weight_decay=0.1),
}
WRAPPED = {
    "median-of-three": MedianOfThree(inner=OPTIMIZERS["sgd"]),
    "rolling-median": RollingMedian(inner=OPTIMIZERS["adam"]),
    "winsorised": Winsorised(inner=OPTIMIZERS["sgd"], num_clipped=2),
    "rolling median of winsorised": RollingMedian(inner=Winsorised(inner=OPTIMIZERS["nesterov"])),
    "subspace": Subspace(inner=OPTIMIZERS["sgd"], dimension=9),
    "rolling median in a subspace": RollingMedian(
        inner=Subspace(inner=OPTIMIZERS["adam"], dimension=20, projection=Sparse())
    ),
}


def spec(net: str = "mlp", optimizer: str = "sgd", num_steps: int = 24, **training: object) -> Spec:
    """Return a spec of a few steps, with snapshots every six and evaluations every twelve."""
    settings = {
        "batch_size": 10,
        "num_steps": num_steps,
        "snapshots": EverySteps(every=6),
        "log": EverySteps(every=4),
        "probes": (Evaluation(at=EverySteps(every=12)),),
        **training,
    }
    return Spec(
        net=NETS[net],
        task=Stripes(),
        training=Training(optimizer=(OPTIMIZERS | WRAPPED)[optimizer], **settings),  # type: ignore[arg-type]
    )


def member(spec: Spec, seed: int = 0) -> Member:
    """Return a fresh run of a spec that records nothing."""
    model = spec.net.build(spec.task.input_shape, spec.task.num_classes, seed)
    return Member(spec=spec, seed=seed, model=model, recorder=Nowhere())


class Listening:
    """A recorder that keeps all that it is given."""

    def __init__(self):
        self.events, self.snapshots, self.checkpoints = [], {}, {}

    def event(self, kind, step, values):
        self.events.append((kind, step, dict(values)))

    def snapshot(self, step, tensors):
        self.snapshots[step] = tensors

    def checkpoint(self, step, tensors, *, keep):
        self.checkpoints[step] = tensors

    def latest(self):
        return None

    def finish(self, state, step):
        self.events.append(("end", step, {"state": state}))


def bare_loop(
    one: Member,
    parts: Parts,
    optimizer: Callable[..., torch.optim.Optimizer],
    rate: Callable[[int], float] | None = None,
) -> nn.Module:
    """Train a run's own network in place on the same batches as anybody would write it in torch."""
    training = one.spec.training
    clock = training.clock(len(parts.train))
    order = Order(one.seed, len(parts.train), training.batch_size, clock)
    model = one.model.train()
    theirs = optimizer(model.parameters())
    for step in range(clock.num_steps):
        if rate is not None:
            for group in theirs.param_groups:
                group["lr"] = rate(step)
        inputs, targets = parts.train.batch(order.batch(step))
        theirs.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        theirs.step()
    return model


def context(folder: Path) -> Context:
    """Return a silent context that keeps runs in a folder."""
    return Context(store=Store(folder / "runs"), progress=False)


def finished(folder: Path, seed: int = 0, **settings: object) -> tuple[Run, Context]:
    """Train a small spec to its end."""
    where = context(folder)
    (run,) = train(spec(**settings), (seed,), where)  # type: ignore[arg-type]
    return run, where


def same(one: nn.Module, other: nn.Module) -> bool:
    """Say whether two networks hold the same bits."""
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(a, b) for a, b in zip(*(s.values() for s in states), strict=True))


def record(run: Run) -> tuple[object, ...]:
    """Return all of a run's record that must not depend on how often it was interrupted."""
    events = [
        (event.kind, event.step, event.values)
        for event in run.events().events
        if event.kind not in ("resume", "damage", "environment")
    ]
    tensors = {step: run.snapshot(step).tensors for step in run.snapshots()}
    last = max(tensors)
    return events, tensors, run.checkpoint(last).tensors, run.status()


QUIET = AtSteps()
