"""Going on with a run whose record was damaged: what is missing is made again, never skipped in silence."""

import os

import pytest

from running import context, finished, record, spec
from storing import written
from surplus.base import UnknownName
from surplus.methods import address, train
from surplus.store import Store


@pytest.fixture
def stopped(tmp_path):
    """Return an interrupted run in a fresh folder and what its whole record should be."""
    clean, _ = finished(tmp_path / "clean", num_steps=60)
    run, where = finished(tmp_path, num_steps=60)
    (run.path / "status.json").unlink()
    (run.path / "checkpoints" / "step-000060.safetensors").unlink()
    return run, where, record(clean)


def lines_dropped(run):
    log = run.path / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:3]))


def log_emptied(run):
    (run.path / "events.jsonl").write_bytes(b"")


def log_removed(run):
    (run.path / "events.jsonl").unlink()


def snapshot_removed(run):
    (run.path / "snapshots" / "step-000012.safetensors").unlink()


def snapshot_truncated(run):
    path = run.path / "snapshots" / "step-000006.safetensors"
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    "damage", [lines_dropped, log_emptied, log_removed, snapshot_removed, snapshot_truncated]
)
def test_a_record_with_a_gap_is_made_again(damage, stopped):
    run, where, whole = stopped
    damage(run)
    (again,) = train(spec(num_steps=60), (0,), where)
    assert again.status() == ("complete", 60)
    assert record(again) == whole
    assert again.series("damage")
    assert again.problems() == []


def test_a_checkpoint_of_another_run_is_not_gone_on_from(stopped, tmp_path):
    run, where, whole = stopped
    (other,) = train(spec(num_steps=60), (7,), context(tmp_path / "other"))
    newest = max((run.path / "checkpoints").iterdir())
    foreign = max((other.path / "checkpoints").iterdir())
    newest.write_bytes(foreign.read_bytes())
    (again,) = train(spec(num_steps=60), (0,), where)
    assert record(again) == whole
    assert "belongs to another run or step" in again.series("damage")[0].values["what"]


def test_what_a_kill_left_half_written_is_swept_away(stopped):
    run, where, _ = stopped
    left = run.path / "snapshots" / ".step-000099.safetensors.123.part"
    left.write_bytes(b"half")
    train(spec(num_steps=60), (0,), where)
    assert not left.exists()


def test_only_a_folder_named_like_a_run_is_one(tmp_path):
    project = tmp_path / "thesis"
    project.mkdir()
    (project / "spec.json").write_text("{}")
    (project / "chapter.tex").write_text("x")
    with pytest.raises(UnknownName, match="is not named like a run's folder"):
        Store(tmp_path / "runs").find(str(project))
    assert (project / "chapter.tex").exists()


def test_a_run_is_found_from_inside_its_folder(tmp_path, monkeypatch):
    run = written(Store(tmp_path / "runs"))
    monkeypatch.chdir(run.path)
    assert Store(tmp_path / "runs").find(".").name == run.name


def test_last_means_a_run_that_a_person_asked_for_and_that_began(tmp_path):
    store = Store(tmp_path / "runs")
    run = written(store)
    empty = store.run("f" * 16, 0)
    empty.path.mkdir(parents=True)
    os.utime(run.path / "events.jsonl", (1, 1))
    assert store.find("last").name == run.name


def test_missing_data_leave_no_run_behind(tmp_path):
    from dataclasses import replace

    from surplus.base import DataMissing
    from surplus.tasks import MNIST

    where = replace(context(tmp_path), data=tmp_path / "nowhere")
    wanted = replace(spec(), task=MNIST())
    with pytest.raises(DataMissing):
        train(wanted, (0,), where)
    assert not where.store.run(address(wanted), 0).path.exists()
