"""What the training loop costs over a bare PyTorch loop that does the same work: LeNet-300-100, batch 128.

Pairs are interleaved in one process on one thread, and each pair gives a ratio; the interval is a bootstrap of their
median. First the steps alone. Then with a record: before the first step and after each epoch both sides evaluate the
validation and the test part and write the weights and the optimiser's state to disk; ours also writes the event log and
hashes, forces every file to disk, and can be killed at any moment.

    python bench/loop.py        # SURPLUS_DATA names the folder of MNIST; without it the embedded digits serve
"""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from surplus.base import Nowhere, Parts
from surplus.methods import Context, train
from surplus.passes import performance
from surplus.store import Store
from surplus.tasks import MNIST, MNIST10k
from surplus.training import Member, Optimizer, Order, Spec, recipe, train_fleet
from surplus.training.moments import AtSteps
from surplus.training.optimizers import SGD, Adam
from timing import interval, loaded, seconds, settle, spread

PAIRS = 31
Make = Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]
OPTIMIZERS: dict[str, tuple[Optimizer, Make]] = {
    "SGD with momentum": (
        SGD(learning_rate=0.1, momentum=0.9),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
    ),
    "Adam": (Adam(learning_rate=1e-3), lambda p: torch.optim.Adam(p, 1e-3)),
}


def bare(spec: Spec, parts: Parts, make: Make, folder: Path | None = None) -> None:
    """Train as one would write it down in a notebook: data in memory, batches by index."""
    clock = spec.training.clock(len(parts.train))
    model = spec.net.build(spec.task.input_shape, spec.task.num_classes, 0)
    optimizer = make(model.parameters())
    order = Order(0, len(parts.train), spec.training.batch_size, clock)
    for step in range(clock.num_steps):
        if folder is not None and step % clock.steps_per_epoch == 0:
            keep(model, optimizer, parts, folder / f"bare-{step}")
        inputs, targets = parts.train.batch(order.batch(step))
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    if folder is not None:
        keep(model, optimizer, parts, folder / "bare-end")


def keep(model: nn.Module, optimizer: torch.optim.Optimizer, parts: Parts, path: Path) -> None:
    """Evaluate and save, the plain way."""
    performance(model, parts.validation)
    performance(model, parts.test)
    save_file(model.state_dict(), path.with_suffix(".safetensors"))
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)


def ours(spec: Spec, parts: Parts) -> None:
    """Take the same steps with the loop, recording nothing."""
    model = spec.net.build(spec.task.input_shape, spec.task.num_classes, 0)
    train_fleet([Member(spec=spec, seed=0, model=model, recorder=Nowhere())], parts)


def into_folder(spec: Spec, parts: Parts, folder: Path, counter: Iterator[int]) -> None:
    """Train into a run folder, as `surplus train` does."""
    context = Context(store=Store(folder / str(next(counter))), progress=False)
    context._loaded[spec.task] = parts
    train(spec, (0,), context)


def row(name: str, mine: Callable[[], None], theirs: Callable[[], None]) -> None:
    """Time pairs and print a row of the table."""
    mine()
    theirs()
    pairs = [(seconds(mine), seconds(theirs)) for _ in range(PAIRS)]
    ratios = [a / b for a, b in pairs]
    low, high = interval(ratios)
    overhead = f"{100 * (low - 1):+.1f} to {100 * (high - 1):+.1f} %"
    if low <= 1 <= high:
        overhead += ", not distinguishable from 0 %"
    ours, bare = (spread(times) for times in zip(*pairs, strict=True))
    print(f"| {name} | {ours} | {bare} | {spread(ratios, 4)} | {overhead} |", flush=True)


def main() -> None:
    """Print the table."""
    settle()
    parts, source = loaded(MNIST())
    base = replace(recipe("lenet-mnist-10k"), task=MNIST() if source == MNIST.kind else MNIST10k())
    epochs = 3 if source == MNIST.kind else 8
    print(f"torch {torch.__version__}, 1 thread, {PAIRS} pairs of {epochs} epochs, {source}\n")
    print("| LeNet-300-100, batch 128 | ours [s] | bare [s] | ratio | overhead, 95 % interval |")
    print("|---|---|---|---|---|")
    for name, (optimizer, make) in OPTIMIZERS.items():
        training = replace(base.training, optimizer=optimizer, num_epochs=epochs)
        recorded = replace(base, training=training)
        quiet = replace(
            base, training=replace(training, snapshots=AtSteps(), probes=(), log=AtSteps())
        )
        row(f"{name}, steps alone", partial(ours, quiet, parts), partial(bare, quiet, parts, make))
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            row(
                f"{name}, with a record",
                partial(into_folder, recorded, parts, root, itertools.count()),
                partial(bare, recorded, parts, make, root),
            )


if __name__ == "__main__":
    main()
