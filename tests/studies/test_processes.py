"""The launcher of processes when processes die."""

import pytest

from flipping import Flip, Misbehave, short
from running import context
from surplus.base import InvalidArgument, SurplusError
from surplus.methods import address, train
from surplus.store import Writer
from surplus.studies.job import Job
from surplus.studies.launchers import Processes
from surplus.studies.launchers import processes as module

SPEC = short()
MODULES = (("flipping", None), ("planted", None))


@pytest.fixture
def where(tmp_path):
    found = context(tmp_path)
    train(SPEC, (0,), found)
    return found


def launched(where, *methods, modules=MODULES, watch=lambda *_: None):
    jobs = [
        Job(
            title=each.what if isinstance(each, Misbehave) else "flip",
            made_by="test",
            apply=((address(SPEC), 0, each),),
        )
        for each in methods
    ]
    return Processes(workers=2).launch([jobs], where, modules, watch)


def test_a_worker_that_is_killed_is_replaced_and_a_job_that_kills_twice_is_told(where, tmp_path):
    once = tmp_path / "once"
    once.touch()
    deeds = [Misbehave(what="die once", file=str(once)), Misbehave(what="die"), Flip()]
    ((title, message),) = launched(where, *deeds)
    assert title == "die" and "died 2 times" in message
    run = where.store.run(address(SPEC), 0)
    assert [each.known(run) is not None for each in deeds] == [True, False, True]
    assert deeds[0].known(run).tables["deeds"]["what"] == ["die once"]


@pytest.mark.slow
def test_a_member_that_workers_do_not_know_is_told_for_each_job(where):
    """Such as one that was defined in a notebook."""
    failures = launched(where, Flip(), Flip(bias=0.3), Flip(bias=0.4), modules=())
    assert len(failures) == 3
    assert all("define it in a file, not in a notebook" in each.message for each in failures)


@pytest.mark.slow
def test_a_module_that_cannot_be_imported_ends_it_at_once(where, tmp_path, capfd):
    broken = tmp_path / "broken.py"
    broken.write_text("raise RuntimeError('not here')")
    with pytest.raises(InvalidArgument, match="A worker could not begin"):
        launched(where, Flip(), modules=(("__main__", str(broken)),))
    assert "RuntimeError: not here" in capfd.readouterr().err
    assert not (where.store.root / "queue").exists()


def test_a_script_without_a_guard_is_not_conducted_again_by_its_workers(where, tmp_path, capfd):
    script = tmp_path / "script.py"
    script.write_text("from surplus.studies import study\nstudy('synthesis')\n")
    with pytest.raises(InvalidArgument, match="A worker could not begin"):
        launched(where, Flip(), modules=(("__main__", str(script)),))
    assert 'put that below `if __name__ == "__main__":`' in capfd.readouterr().err


@pytest.mark.slow
def test_workers_that_die_at_once_are_not_replaced_for_ever(where, tmp_path, monkeypatch):
    deadly = tmp_path / "deadly.py"
    deadly.write_text("import os\nos._exit(7)\n")
    monkeypatch.setattr(module, "PATIENCE", 1)
    with pytest.raises(SurplusError, match="workers died one after the other"):
        launched(where, Flip(), modules=(("__main__", str(deadly)),))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_another_process_holds_is_waited_for(tmp_path, workers):
    where = context(tmp_path)
    run = where.store.run(address(SPEC), 0)
    holder = Writer(run, {"spec": {}}, {})
    seen = []

    def watch(done, note):
        seen.append(done)
        if len(seen) == 60:  # some seconds: workers have found it held
            holder.release()

    jobs = [
        Job(title="held", made_by="test", train=((SPEC, 0),)),
        Job(title="free", made_by="test", train=((SPEC, 1),)),
    ]
    assert Processes(workers=workers).launch([jobs], where, MODULES, watch) == []
    assert run.status().state == "complete"
    assert where.store.run(address(SPEC), 1).status().state == "complete"


@pytest.mark.message
@pytest.mark.parametrize("workers", [0, -2])
def test_there_is_at_least_one_worker(workers):
    with pytest.raises(InvalidArgument, match=f"`workers` is {workers}; it must be at least 1"):
        Processes(workers=workers)


def test_the_number_of_cores_where_the_system_does_not_say(monkeypatch):
    monkeypatch.delattr(module.os, "sched_getaffinity")
    assert module.num_cores() >= 1
