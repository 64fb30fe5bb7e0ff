"""What the benchmarks share: interleaved rounds, medians with their spread, a network that has learnt something."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from surplus.base import DataMissing, Nowhere, Parts, Task
from surplus.tasks import MNIST10k
from surplus.training import Member, Spec, keep_freed_memory, train_fleet
from surplus.training.moments import AtSteps


def seconds(work: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Write a median with the least and greatest value."""
    return f"{statistics.median(values):.{digits}g} ({min(values):.{digits}g} to {max(values):.{digits}g})"


def interval(ratios: Sequence[float], draws: int = 4000) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the median."""
    generator = torch.Generator().manual_seed(0)
    values = torch.tensor(ratios, dtype=torch.float64)
    index = torch.randint(len(values), (draws, len(values)), generator=generator)
    medians = values[index].quantile(0.5, dim=1)
    return float(medians.quantile(0.025)), float(medians.quantile(0.975))


def loaded(task: Task) -> tuple[Parts, str]:
    """Return a task's data, or the embedded digits where the full set is not at hand, and what was taken."""
    try:
        return task.load(), task.kind
    except DataMissing:
        return MNIST10k().load(), f"{MNIST10k.kind} (set SURPLUS_DATA for {task.kind})"


def ten_thousand(parts: Parts) -> tuple[Tensor, Tensor]:
    """Return 10,000 images: the test part, filled up from the others where it is smaller."""
    batches = [batch for part in (parts.test, parts.validation, parts.train) for batch in part]
    images = torch.cat([images for images, _ in batches])[:10_000]
    targets = torch.cat([targets for _, targets in batches])[:10_000]
    return images, targets


def learnt(spec: Spec, parts: Parts, num_steps: int) -> nn.Module:
    """Train a network for some steps, so that its units fire as those of a trained one do."""
    quiet = replace(
        spec.training,
        num_steps=num_steps,
        num_epochs=None,
        snapshots=AtSteps(),
        probes=(),
        log=AtSteps(),
    )
    channels, height, width = parts.train.batch(torch.tensor([0]))[0].shape[1:]
    model = spec.net.build((channels, height, width), spec.task.num_classes, 0)
    member = Member(spec=replace(spec, training=quiet), seed=0, model=model, recorder=Nowhere())
    return train_fleet([member], parts)[0]


def settle() -> None:
    """Prepare this process as the command line does: one thread, freed memory kept."""
    torch.set_num_threads(1)
    keep_freed_memory()
