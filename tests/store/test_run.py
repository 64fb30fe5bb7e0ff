import json
import multiprocessing
import re

import pytest

from storing import raw, written
from surplus.base import (
    CorruptFile,
    InvalidArgument,
    RunBusy,
    RunExists,
    StorageFailure,
    Table,
    UnknownName,
)
from surplus.store import Run, Store, Writer, files
from surplus.store.files import put


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def test_a_run_is_read_as_it_was_written(store):
    run = written(store)
    assert run.status() == ("complete", 20)
    assert run.problems() == []
    assert [event.values["loss"] for event in run.series("train")] == [1.0, 0.5]
    assert list(run.snapshots()) == [0, 10, 20]
    assert run.snapshot(10).tensors["w"] == raw([10.0, 1.0])
    assert run.snapshot(10).metadata["step"] == 10


def test_names_are_short_and_forgiving(store):
    run = written(store)
    written(store, seed=2)
    assert store.find(run.name).path == run.path
    assert store.find("0123/0").path == run.path
    assert store.find("0123/seed-0002").seed == 2
    assert store.find(str(run.path)).path == run.path
    assert store.find("last").seed == 2
    with pytest.raises(UnknownName, match="`0123` means 2 runs"):
        store.find("0123")
    with pytest.raises(UnknownName, match="There is no run `ffff`"):
        store.find("ffff")


def test_an_empty_store_says_what_to_do(store):
    with pytest.raises(UnknownName, match="There are no runs in .* Train one with `surplus train`"):
        store.find("last")


def test_a_finished_run_is_not_overwritten(store):
    run = written(store)
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(RunExists, match="is finished and is not overwritten. Delete it with"):
        Writer(run, {}, {})
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_a_run_has_one_writer(store):
    run = store.run("0123456789abcdef", 0)
    writer = Writer(run, {"spec": {}}, {})
    assert run.status().state == "running"
    with pytest.raises(RunBusy, match="Another process is writing"):
        Writer(run, {"spec": {}}, {})
    with pytest.raises(RunBusy, match="is being written"):
        store.delete(run)
    writer.release()
    assert run.status().state == "interrupted"
    Writer(run, {"spec": {}}, {}).release()


def _hold(path, ready, done):
    writer = Writer(Run(path), {"spec": {}}, {})
    ready.set()
    done.wait(20)
    writer.release()


def test_the_lock_holds_between_processes_and_dies_with_its_holder(store):
    run = store.run("0123456789abcdef", 0)
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(run.path, ready, done))
    holder.start()
    assert ready.wait(30)
    with pytest.raises(RunBusy):
        Writer(run, {"spec": {}}, {})
    holder.kill()
    holder.join()
    Writer(run, {"spec": {}}, {}).release()


def test_the_newest_checkpoints_are_kept_and_older_ones_go(store):
    run = store.run("0123456789abcdef", 0)
    writer = Writer(run, {"spec": {}}, {})
    for step in (0, 10, 20, 30):
        writer.checkpoint(step, {"w": raw([step])}, keep=step == 10)
    kept = sorted(path.name for path in (run.path / "checkpoints").iterdir())
    assert kept == ["step-000010.safetensors", "step-000020.safetensors", "step-000030.safetensors"]
    assert writer.latest().step == 30
    writer.release()


def test_a_damaged_newest_checkpoint_costs_one_interval_and_is_named(store):
    run = store.run("0123456789abcdef", 0)
    writer = Writer(run, {"spec": {}}, {})
    for step in (10, 20):
        writer.checkpoint(step, {"w": raw([step])}, keep=False)
    writer.release()
    newest = run.path / "checkpoints" / "step-000020.safetensors"
    newest.write_bytes(newest.read_bytes()[:-3])
    writer = Writer(run, {"spec": {}}, {})
    assert writer.latest().step == 10
    assert any("step-000020" in problem for problem in run.problems())
    assert run.series("damage")[0].values["file"] == newest.name
    writer.release()


def test_events_after_the_point_of_resumption_are_superseded(store):
    run = store.run("0123456789abcdef", 0)
    writer = Writer(run, {"spec": {}}, {})
    for step in (0, 10, 20):
        writer.event("train", step, {"loss": step})
    writer.event("resume", 10, {})
    writer.event("train", 20, {"loss": -1})
    assert [event.values["loss"] for event in run.series("train")] == [0, 10, -1]
    writer.release()


def test_a_half_written_last_event_is_dropped_and_writing_goes_on(store):
    run = store.run("0123456789abcdef", 0)
    writer = Writer(run, {"spec": {}}, {})
    writer.event("train", 0, {"loss": 1})
    writer.event("train", 1, {"loss": 2})
    writer.release()
    log = run.path / "events.jsonl"
    log.write_bytes(log.read_bytes()[:-5])
    assert run.problems() == ["events.jsonl line 2 is half-written"]
    writer = Writer(run, {"spec": {}}, {})
    writer.event("train", 1, {"loss": 3})
    writer.release()
    assert [event.values["loss"] for event in run.series("train")] == [1, 3]
    assert run.problems() == []


def test_an_edited_event_is_named_and_left_out(store):
    run = written(store, finish=False)
    log = run.path / "events.jsonl"
    log.write_text(log.read_text().replace('"loss":0.5', '"loss":0.1'))
    assert any("was edited" in problem for problem in run.problems())
    assert [event.values["loss"] for event in run.series("train")] == [1.0]


def test_a_removed_event_is_noticed(store):
    run = written(store, finish=False)
    log = run.path / "events.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:1] + lines[2:]))
    assert any("lacks lines before line 2" in problem for problem in run.problems())


def test_numbers_that_are_not_finite_become_null(store):
    run = store.run("0123456789abcdef", 0)
    writer = Writer(run, {"spec": {}}, {})
    writer.event("train", 0, {"loss": float("nan"), "more": [float("inf"), 1.0]})
    writer.release()
    assert run.series("train")[0].values == {"loss": None, "more": [None, 1.0]}


def test_a_changed_environment_is_noted(store):
    run = store.run("0123456789abcdef", 0)
    Writer(run, {"spec": {}}, {"torch": "1"}).release()
    Writer(run, {"spec": {}}, {"torch": "2"}).release()
    assert run.environment()["torch"] == "1"
    assert run.series("environment")[0].values == {"changed": {"torch": "2"}}


def test_derived_results_lie_beside_the_sealed_run(store):
    run = written(store)
    table = Table({"unit": [0, 1], "norm": [0.5, None]}, units={"norm": "length"})
    run.derive("norms", {"layer": "fc1"}, [10], {"n": 2}, {"norms": table})
    found = run.find_derived("norms", {"layer": "fc1"}, [10])
    assert found.values == {"n": 2}
    assert found.tables["norms"].columns == table.columns
    assert found.tables["norms"].units == table.units
    assert run.find_derived("norms", {"layer": "fc2"}, [10]) is None
    assert [each.kind for each in run.derived("norms")] == ["norms"]
    assert run.problems() == []
    (found.path / "norms.csv").write_text("edited")
    assert any("norms.csv" in problem for problem in run.problems())
    assert run.derived("norms") == []


@pytest.mark.parametrize("name", ["Norms", "../norms", "norms.csv", ""])
def test_a_table_whose_name_is_no_file_name_is_refused(store, name):
    run = written(store)
    message = f"`{re.escape(name)}` cannot name a table: use small letters, digits and hyphens"
    with pytest.raises(InvalidArgument, match=message):
        run.derive("norms", {}, [10], {}, {name: Table({"norm": [0.5]})})
    assert run.derived("norms") == [] and run.problems() == []


def test_deleting_leaves_nothing(store):
    run = written(store)
    store.delete(run)
    assert store.runs() == []
    assert not run.path.parent.exists()


class Full:
    """A disk that takes `room` bytes more."""

    def __init__(self, room):
        self.room = room

    def __call__(self, descriptor, data):
        if len(data) > self.room:
            put(descriptor, data[: self.room])
            self.room = 0
            raise OSError(28, "No space left on device")
        self.room -= len(data)
        put(descriptor, data)


@pytest.mark.parametrize("room", [0, 100, 700, 900, 1500, 2500])
def test_a_full_disk_loses_nothing(store, monkeypatch, room):
    """Whatever is written when the disk fills up, what was there stays whole, and the run can go on."""
    monkeypatch.setattr(files, "put", Full(room))
    run = store.run("0123456789abcdef", 0)
    with pytest.raises(StorageFailure, match=r"The disk is full: .* Free some space"):
        written(store)
    assert not list(run.path.rglob("*.part"))
    monkeypatch.undo()
    problems = run.problems()
    assert all("is missing" in problem for problem in problems)
    writer = Writer(run, {"spec": {}}, {})
    writer.release()
    assert run.problems() == []


def test_an_unwritable_folder_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    run = Store(blocked / "runs").run("0123456789abcdef", 0)
    with pytest.raises(StorageFailure, match="Make the folder writable, or choose another"):
        Writer(run, {}, {})


def test_only_runs_are_listed(store):
    written(store)
    (store.root / "notes").mkdir()
    (store.root / "0123456789abcdef" / "seed-x").mkdir()
    (store.root / "zz" / "seed-0001").mkdir(parents=True)
    assert len(store.runs()) == 1


def test_a_damaged_seal_is_still_a_seal(store):
    run = written(store)
    (run.path / "status.json").write_text("{")
    with pytest.raises(RunExists):
        Writer(run, {}, {})
    with pytest.raises(CorruptFile):
        run.status()


def test_documents_can_be_read_without_this_library(store):
    run = written(store)
    assert json.loads((run.path / "status.json").read_text())["contents"]["state"] == "complete"
