"""The real command, stopped in every way: what is written in the end is the same, and no process is left behind."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
TESTS = Path(__file__).parents[1]
STUDY = '''
from dataclasses import dataclass
from typing import ClassVar
from flipping import Flip, Misbehave, short
from surplus.base import register
from surplus.methods import History
from surplus.studies import Arm, Study, claim, lines, pick, share_above
from surplus.training.moments import EverySteps

@register("long")
@dataclass(frozen=True, kw_only=True, slots=True)
class Long(Study):
    """Two coins, some seconds of training."""
    question: ClassVar = "Heads?"
    seeds: int = 4

    def arms(self):
        for steps in (600, 1000):
            spec = short(steps, snapshots=EverySteps(every=200))
            deed = Misbehave(what="slow", seconds=0.2)
            yield Arm(labels={"steps": steps}, spec=spec, methods=(Flip(), deed, History()))

    @claim("It shows heads.")
    def heads(self, found):
        """Exact."""
        first = pick(found["flip/flips"], flip=0, steps=600)
        return share_above(first["heads"].sum(), len(first), what="heads", bound=0.5)

    def figures(self, found):
        return {"curve": lines(found["history/events"], "step", "test_accuracy", by="steps")}
'''


def command(folder, file, launcher="processes:workers=2"):
    return subprocess.Popen(
        [sys.executable, "-c", "from surplus.cli import main; import sys; sys.exit(main())", "study", str(file),
         "--runs", str(folder / "runs"), "--out", str(folder / "out"), "--launcher", launcher],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, sys.path)])},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted((folder / "out").rglob("*"))
        if path.is_file()
    }


def workers_of(folder):
    """Return the worker processes that work on a folder of runs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if b"surplus.studies.worker" in words and str(folder).encode() in words:
            found.append(int(path.parent.name))
    return found


def wait_for(what, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "long.py"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def expected(file, tmp_path_factory):
    """Return the output of the command in one process, never disturbed, and the seconds it took with two."""
    folder, other = (tmp_path_factory.mktemp(name) for name in ("local", "processes"))
    first = command(folder, file, "local")
    _, told = first.communicate()
    assert first.returncode == 0, told
    begun = time.monotonic()
    second = command(other, file)
    _, told = second.communicate()
    assert second.returncode == 0, told
    assert contents(other) == contents(folder)
    return contents(folder), time.monotonic() - begun


@pytest.mark.parametrize("launcher", ["processes:workers=2", "local"])
def test_killed_at_any_moment_it_ends_with_the_same_bytes(launcher, file, expected, tmp_path):
    whole, seconds = expected
    chance = random.Random(launcher)
    for _ in range(4):
        running = command(tmp_path, file, launcher)
        time.sleep(chance.uniform(0.3, 1) * seconds)
        running.kill()
        running.communicate()
    done = command(tmp_path, file, launcher)
    _, told = done.communicate()
    assert done.returncode == 0, told
    assert contents(tmp_path) == whole
    assert not (tmp_path / "runs" / "queue").exists()
    assert wait_for(lambda: not workers_of(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_keeps_what_was_done_and_leaves_no_process(
    number, file, expected, tmp_path
):
    running = command(tmp_path, file)
    assert wait_for(lambda: list(tmp_path.glob("runs/*/seed-*/checkpoints/*")))
    running.send_signal(number)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert told == "surplus study: stopped. Nothing is lost: the same command goes on from here.\n"
    assert workers_of(tmp_path) == []
    assert not (tmp_path / "runs" / "queue").exists()
    assert not (tmp_path / "out").exists()
    done = command(tmp_path, file)
    done.communicate()
    assert done.returncode == 0 and contents(tmp_path) == expected[0]


def test_workers_end_by_themselves_when_the_command_is_killed(file, tmp_path):
    running = command(tmp_path, file)
    assert wait_for(lambda: list(tmp_path.glob("runs/*/seed-*/checkpoints/*")))
    assert workers_of(tmp_path)
    running.kill()
    running.communicate()
    assert wait_for(lambda: not workers_of(tmp_path), 30)


def test_two_at_once_share_the_work_and_write_the_same(file, expected, tmp_path):
    both = [command(tmp_path, file) for _ in range(2)]
    for each in both:
        _, told = each.communicate()
        assert each.returncode == 0, told
    assert contents(tmp_path) == expected[0]
    assert not (tmp_path / "runs" / "queue").exists()


def test_a_worker_that_is_killed_from_outside_is_replaced(file, expected, tmp_path):
    running = command(tmp_path, file)
    assert wait_for(lambda: list(tmp_path.glob("runs/*/seed-*/checkpoints/*")))
    os.kill(workers_of(tmp_path)[0], signal.SIGKILL)
    _, told = running.communicate()
    assert running.returncode == 0, told
    assert contents(tmp_path) == expected[0]
