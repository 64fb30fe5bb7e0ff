"""The contract of every launcher: what fails is told, and how work is divided changes nothing."""

import pytest

from flipping import Flip, Misbehave, short
from running import context, record
from surplus.base import StorageFailure, members
from surplus.methods import address
from surplus.studies import Launcher
from surplus.studies.job import Job
from surplus.studies.launchers import Processes

LAUNCHERS = members(Launcher)
QUICK = [
    pytest.param(name, marks=[pytest.mark.slow] if name == "processes" else [])
    for name in LAUNCHERS
]
SPEC = short(8)
MODULES = (("flipping", None), ("planted", None))


def launcher(name):
    return Processes(workers=2) if name == "processes" else LAUNCHERS[name]()


def waves(folder):
    """Return trainings, then methods: two that are sound, one that raises, one whose process dies once."""
    trainings = [
        Job(title=f"training {seed}", made_by="test", train=((SPEC, seed),)) for seed in (0, 1, 2)
    ]
    deeds = [Flip(), Misbehave(what="raise"), Flip(bias=0.9), Flip(bias=0.2)]
    methods = [
        Job(title=f"{each.kind} {n}", made_by="test", apply=((address(SPEC), n % 3, each),))
        for n, each in enumerate(deeds)
    ]
    return [trainings, methods]


def bytes_of(runs):
    return {
        path.relative_to(run.path.parent): path.read_bytes()
        for run in runs
        for path in sorted((run.path / "derived").rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    return _launched("local", tmp_path_factory.mktemp("expected"))


def _launched(name, folder):
    told = []
    where = context(folder)
    failures = launcher(name).launch(
        waves(folder), where, MODULES, lambda done, note: told.append((done, note))
    )
    runs = [where.store.run(address(SPEC), seed) for seed in (0, 1, 2)]
    return failures, [record(run) for run in runs], bytes_of(runs), told, where


@pytest.mark.parametrize("name", LAUNCHERS)
def test_the_same_bytes_whoever_does_it_and_a_failure_does_not_stop_the_others(
    name, expected, tmp_path
):
    failures, records, derived, told, where = _launched(name, tmp_path)
    ((title, message),) = failures
    assert title == "misbehave 1" and "RuntimeError: the coin fell off the table" in message
    assert records == expected[1]
    assert derived == expected[2] and len(derived) == 6
    counts = [done for done, _ in told]
    assert counts == sorted(counts) and set(counts) <= set(range(8))
    assert not (where.store.root / "queue").exists()


@pytest.mark.parametrize("name", LAUNCHERS)
def test_a_launcher_has_workers(name):
    assert launcher(name).num_workers >= 1


@pytest.mark.parametrize("name", QUICK)
def test_a_full_disk_stops_everything_and_the_same_call_goes_on(name, tmp_path):
    where = context(tmp_path)
    file = tmp_path / "full"
    file.touch()
    deed = Misbehave(what="fill", file=str(file))
    training = Job(title="training", made_by="test", train=((SPEC, 0),))
    filling = Job(title="filling", made_by="test", apply=((address(SPEC), 0, deed),))
    with pytest.raises(StorageFailure, match="Free some space"):
        launcher(name).launch([[training], [filling]], where, MODULES, lambda *_: None)
    file.unlink()
    assert launcher(name).launch([[training], [filling]], where, MODULES, lambda *_: None) == []
    run = where.store.run(address(SPEC), 0)
    assert deed.known(run) is not None
    assert not (where.store.root / "queue").exists()
