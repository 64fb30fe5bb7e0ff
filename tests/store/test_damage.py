"""Every file of a run, cut off or changed at random places: found by name, and nothing else is lost with it."""

import random
import shutil

import pytest

from storing import written
from surplus.base import Table
from surplus.store import Run, Store

FILES = [
    "spec.json",
    "environment.json",
    "events.jsonl",
    "status.json",
    "snapshots/step-000010.safetensors",
    "checkpoints/step-000020.safetensors",
    "derived/*/computation.json",
    "derived/*/norms.csv",
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("sound"))
    run = written(store)
    run.derive("norms", {}, [10], {"n": 1}, {"norms": Table({"norm": [0.125, 2.5]})})
    return run


@pytest.fixture
def copied(sound, tmp_path):
    target = tmp_path / "0123456789abcdef" / "seed-0000"
    shutil.copytree(sound.path, target)
    return Run(target)


@pytest.mark.parametrize("change", ["truncated", "edited", "emptied", "removed"])
@pytest.mark.parametrize("name", FILES)
def test_damage_is_found_by_name_and_stays_alone(copied, name, change):
    chance = random.Random(f"{name} {change}")
    (path,) = copied.path.glob(name)
    whole = path.read_bytes()
    for _ in range(1 if change in ("emptied", "removed") else 12):
        damage(path, whole, change, chance)
        problems = copied.problems()
        if not (name == "status.json" and change == "removed"):
            assert any(path.name in problem for problem in problems), (problems, path.read_bytes())
        assert all(path.name in problem for problem in problems)
        others(copied, name)
    path.write_bytes(whole)
    assert copied.problems() == []


def damage(path, whole, change, chance):
    if change == "removed":
        path.unlink()
    elif change == "emptied":
        path.write_bytes(b"")
    elif change == "truncated":
        path.write_bytes(whole[: chance.randrange(len(whole) - 1)])
    else:
        place = chance.randrange(len(whole))
        replaced = bytes([whole[place] ^ (1 << chance.randrange(8))])
        path.write_bytes(whole[:place] + replaced + whole[place + 1 :])


def others(run, damaged):
    """Read everything that was not damaged."""
    if damaged != "spec.json":
        assert run.spec()["seed"] == 0
    if damaged != "events.jsonl":
        assert len(run.series("train")) == 2
    for step in (0, 20):
        assert run.snapshot(step).metadata["step"] == step
    if not damaged.startswith("derived"):
        assert run.derived("norms")[0].tables["norms"]["norm"] == [0.125, 2.5]


def test_the_list_of_runs_survives_any_damage(sound, tmp_path):
    for place, name in enumerate(FILES):
        target = tmp_path / "0123456789abcdef" / f"seed-{place:04d}"
        shutil.copytree(sound.path, target)
        (path,) = target.glob(name)
        path.write_bytes(path.read_bytes()[:7])
    summaries = Store(tmp_path).summaries()
    assert len(summaries) == len(FILES)
    states = {summary.seed: summary.state for summary in summaries}
    assert states[FILES.index("spec.json")] == "damaged"
    assert states[FILES.index("status.json")] == "damaged"
    assert states[FILES.index("events.jsonl")] == "complete"
