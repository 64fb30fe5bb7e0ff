"""What a study would cost: runs, updates, multiply-adds, and a guess at the time."""

import time

import torch

from surplus.base import Cell, Table
from surplus.passes import num_macs
from surplus.studies.grid import Grid

PASSES = 3  # forward, gradients of activations, gradients of weights
SHARE = 0.3  # of the speed of a matrix product that training small networks reaches, measured on LeNet-300-100
SECONDS = 0.2


def cost(grid: Grid) -> Table:
    """Return a row for each run, shared ones once: its address, labels, length, cost, and whether it is done.

    Raises:
        InvalidArgument: a spec cannot be trained.
    """
    macs: dict[str, int] = {}
    left: dict[str, int] = {}
    for replica, method in grid.computations():
        left[replica.run.name] = left.get(replica.run.name, 0) + (not replica.done(method))
    rows: list[dict[str, Cell]] = []
    seen = set()
    for replica in grid.replicas:
        run, spec = replica.run, replica.arm.spec
        if run.name in seen:
            continue
        seen.add(run.name)
        num_steps = spec.training.clock(grid.num_train(spec.task)).num_steps
        begun = 0 if spec.start is None else spec.start.step
        if run.fingerprint not in macs:
            model = spec.net.build(spec.task.input_shape, spec.task.num_classes, 0)
            example = torch.zeros(1, *spec.task.input_shape)
            macs[run.fingerprint] = num_macs(model.eval(), example)
        rows.append(
            {
                **replica.arm.labels,
                "run": run.name,
                "num_steps": num_steps - begun,
                "teramacs": PASSES
                * macs[run.fingerprint]
                * spec.training.batch_size
                * (num_steps - begun)
                / 1e12,
                "trained": run.is_sealed(),
                "computations_left": left.get(run.name, 0),
            }
        )
    return Table.from_rows(rows)


def cost_in_words(table: Table, num_workers: int) -> str:
    """Return what is left to do, with a guess at the time that training takes on this machine."""
    todo = [row for row in table.rows() if not row["trained"]]
    macs = 1e12 * sum(float(row["teramacs"] or 0) for row in todo)
    minutes = macs / (SHARE * _macs_per_second()) / num_workers / 60
    computations = sum(int(row["computations_left"] or 0) for row in table.rows())
    return (
        f"{len(todo)} of {len(table)} runs are to be trained, {macs / 1e12:.3g} tera multiply-adds; {computations}"
        f" computations are left. Training takes about {minutes:.2g} minutes with {num_workers} workers here, by a"
        " guess from the speed of a matrix product; computations come on top."
    )


def _macs_per_second() -> float:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        square = torch.ones(512, 512)
        square @ square
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < SECONDS:
            square @ square
            count += 1
        return count * 512**3 / (time.perf_counter() - begun)
    finally:
        torch.set_num_threads(before)
