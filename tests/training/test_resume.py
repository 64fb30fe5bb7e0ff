"""A run killed at any moment resumes bit-identically."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from dataclasses import replace

import pytest
import torch

from planted import Stripes
from running import context, finished, record, same, spec
from surplus.base import RunExists, StorageFailure
from surplus.methods import address, model_of, train
from surplus.store import Writer, files
from surplus.store.files import put
from surplus.training.interventions import Pruning
from surplus.training.moments import EverySteps

PRUNED = (Pruning(sparsity=0.5, layers=("fc1",), first=5, last=200, every=31),)
CASES = {
    "mlp": {"net": "mlp", "optimizer": "sgd"},
    "dropout": {"net": "dropout", "optimizer": "adam"},
    "conv": {"net": "conv", "optimizer": "adamw"},
    "residual": {"net": "residual", "optimizer": "sgd"},
    "wrapped": {"net": "dropout", "optimizer": "rolling median in a subspace"},
}
KILLS = 8  # of each case


def long_spec(case: str):
    """Return a run of about a second, pruned on its way."""
    wanted = spec(
        num_steps=800, snapshots=EverySteps(every=40), log=EverySteps(every=7), **CASES[case]
    )
    return replace(wanted, interventions=PRUNED)


def _work(folder, case):
    torch.set_num_threads(1)
    train(long_spec(case), (0, 1), context(folder))


@pytest.fixture(scope="module")
def server():
    """Return a process that has imported everything, from which workers are forked in milliseconds."""
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload(["surplus.methods", "surplus.training.interventions"])
    return forkserver


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return the records of both replicas of each case, never interrupted, and the seconds it took."""
    found = {}
    for case in CASES:
        where = context(tmp_path_factory.mktemp(case))
        begun = time.perf_counter()
        runs = train(long_spec(case), (0, 1), where)
        found[case] = [record(run) for run in runs], time.perf_counter() - begun
    return found


@pytest.mark.parametrize("case", CASES)
def test_killed_at_random_moments_it_ends_bit_identical(case, server, undisturbed, tmp_path):
    """Each case is killed with SIGKILL eight times, at moments spread over the whole run."""
    records, seconds = undisturbed[case]
    chance = random.Random(case)
    kills = 0
    while kills < KILLS:
        worker = server.Process(target=_work, args=(tmp_path, case))
        worker.start()
        _wait_for_life(worker, tmp_path, case)
        time.sleep(chance.uniform(0, seconds / 5))
        worker.kill()
        worker.join()
        if worker.exitcode == -signal.SIGKILL:
            kills += 1
        else:  # it had come to its end before the kill: begin anew, the kills so far count
            assert [record(run) for run in _runs(tmp_path, case)] == records
            shutil.rmtree(tmp_path / "runs")
    runs = train(long_spec(case), (0, 1), context(tmp_path))
    assert [record(run) for run in runs] == records
    assert all(run.problems() == [] for run in runs)


def _runs(folder, case):
    return [context(folder).store.run(address(long_spec(case)), seed) for seed in (0, 1)]


def _wait_for_life(worker, folder, case):
    """Wait until the worker has locked its run, so that the kill hits training and not start-up."""
    run = _runs(folder, case)[0]
    for _ in range(4000):
        if run.status().state != "interrupted" or not worker.is_alive():
            return
        time.sleep(0.005)


def test_killed_before_the_first_checkpoint_it_begins_anew(tmp_path):
    wanted = spec()
    where = context(tmp_path)
    run = where.store.run(address(wanted), 0)
    writer = Writer(run, {"spec": {}}, {})
    writer.event("train", 3, {"loss": 7})
    writer.release()
    train(wanted, (0,), where)
    clean, _ = finished(tmp_path / "clean")
    assert [e.values for e in run.series("train")] == [e.values for e in clean.series("train")]


def test_a_second_run_of_the_same_command_changes_nothing(tmp_path):
    run, where = finished(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    (again,) = train(spec(), (0,), where)
    assert again.path == run.path
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before
    with pytest.raises(RunExists):
        Writer(run, {}, {})


def _stop_at(folder, step):
    """Send ourselves SIGINT when a step has been reached, as a user at the keyboard would."""
    from surplus.training import loop

    original = loop._Loop._update

    def update(self):
        original(self)
        if self.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    loop._Loop._update = update
    try:
        train(spec(num_steps=60), (0,), context(folder))
    finally:
        loop._Loop._update = original


@pytest.mark.parametrize("step", [1, 13, 18, 59])
def test_ctrl_c_keeps_the_step_it_was_at(step, tmp_path):
    with pytest.raises(KeyboardInterrupt, match=f"stopped by SIGINT at step {step}"):
        _stop_at(tmp_path, step)
    where = context(tmp_path)
    run = where.store.run(address(spec(num_steps=60)), 0)
    assert run.status() == ("interrupted", step)
    train(spec(num_steps=60), (0,), where)
    assert run.series("resume")[0].step == step
    clean, _ = finished(tmp_path / "clean", num_steps=60)
    assert record(run) == record(clean)


def test_a_full_disk_stops_the_run_and_the_same_command_goes_on(tmp_path, monkeypatch):
    where = context(tmp_path)
    room = 25_000

    def filling(descriptor, data):
        nonlocal room
        room -= len(data)
        if room < 0:
            raise OSError(28, "No space left on device")
        put(descriptor, data)

    monkeypatch.setattr(files, "put", filling)
    with pytest.raises(StorageFailure, match="The disk is full"):
        train(spec(), (0,), where)
    monkeypatch.undo()
    (run,) = train(spec(), (0,), where)
    clean, _ = finished(tmp_path / "clean")
    assert record(run) == record(clean)


def test_replicas_stopped_at_different_steps_resume_each_from_its_own(tmp_path):
    where = context(tmp_path)
    runs = train(spec(num_steps=60), (0, 1, 2), where)
    want = [record(run) for run in runs]
    (runs[1].path / "status.json").unlink()
    for run, keep in ((runs[0], 2), (runs[2], 1)):
        (run.path / "status.json").unlink()
        for path in sorted((run.path / "checkpoints").iterdir())[keep - 1 :]:
            path.unlink()
    assert [record(run) for run in train(spec(num_steps=60), (0, 1, 2), where)] == want


def test_another_environment_is_said(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        _stop_at(tmp_path, 20)
    where = replace(context(tmp_path), threads=2)
    with pytest.warns(UserWarning, match="goes on in another environment: num_threads is now 2"):
        (run,) = train(spec(num_steps=60), (0,), where)
    assert run.series("environment")[0].values["changed"] == {"num_threads": 2}


def test_a_diverging_run_ends_as_diverged_and_its_siblings_go_on(tmp_path):
    from surplus.training.optimizers import SGD

    where = context(tmp_path)
    wild = spec(num_steps=60)
    wild = replace(
        wild, training=replace(wild.training, optimizer=SGD(learning_rate=1e20, momentum=0.9))
    )
    tame = replace(
        wild, training=replace(wild.training, optimizer=SGD(learning_rate=0.05, momentum=0.9))
    )
    from surplus.methods import train_all

    runs = train_all([(wild, 0), (tame, 0)], where)
    assert [run.status().state for run in runs] == ["diverged", "complete"]
    (alone,) = train(tame, (0,), context(tmp_path / "alone"))
    assert same(model_of(runs[1])[0], model_of(alone)[0])
    assert runs[0].series("train")[-1].values["loss"] is None


def test_the_task_is_part_of_the_address(tmp_path):
    assert address(spec()) != address(replace(spec(), task=Stripes(num_train=60)))
