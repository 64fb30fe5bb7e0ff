"""The queue: each piece is done once, whatever dies."""

import subprocess
import sys

import pytest

from surplus.base import StorageFailure
from surplus.store import Queue, files
from surplus.store.lock import Lock


@pytest.fixture
def queue(tmp_path):
    made, owner = Queue.open_in(tmp_path, "test")
    yield made
    owner.release()


def filled(queue, num=3):
    for number in range(num):
        queue.put(number, f"piece {number}", {"number": number})


def test_pieces_are_taken_in_order_and_once(queue):
    filled(queue)
    first, second = queue.take(), Queue(queue.folder).take()
    assert (first.title, first.contents, second.title) == ("piece 0", {"number": 0}, "piece 1")
    assert queue.doing() == ["piece 0", "piece 1"]
    first.finish()
    assert queue.num_left() == 2
    second.put_back()
    again = queue.take()
    assert again.title == "piece 1"
    again.finish()
    queue.take().finish()
    assert queue.take() is None and queue.num_left() == 0 and queue.failures() == []


def test_pieces_can_be_avoided(queue):
    filled(queue)
    first = queue.take()
    assert queue.take(avoid={"000001"}).title == "piece 2"
    first.put_back()
    assert queue.take(avoid={"000000", "000001"}) is None


def test_a_failure_is_told(queue):
    filled(queue, 1)
    queue.take().fail("it fell")
    assert queue.num_left() == 0
    assert queue.failures() == [("piece 0", "it fell")]


DIE = (
    "import os, sys; from pathlib import Path; from surplus.store import Queue\n"
    "os._exit(9 if Queue(Path(sys.argv[1])).take() else 0)"
)


def take_and_die(queue):
    done = subprocess.run([sys.executable, "-c", DIE, str(queue.folder)], check=False)
    return done.returncode == 9


def test_a_piece_whose_process_died_twice_is_given_up(queue):
    filled(queue, 1)
    assert take_and_die(queue) and take_and_die(queue)
    assert queue.take() is None
    ((title, message),) = queue.failures()
    assert title == "piece 0" and "died 2 times; perhaps the machine is short of memory" in message


def test_waiting_for_somebody_is_no_death(queue):
    filled(queue, 1)
    for _ in range(5):
        queue.take().put_back()
    assert queue.take().title == "piece 0"


@pytest.mark.parametrize("damage", ["", "{}", '{"format": 1}', None])
def test_a_damaged_piece_is_reported_and_not_waited_for(queue, damage):
    filled(queue, 2)
    path = queue.folder / "000000.json"
    path.write_text(path.read_text()[:-20] if damage is None else damage)
    assert queue.take().title == "piece 1"
    ((title, message),) = queue.failures()
    assert title == "000000" and str(path) in message
    assert queue.num_left() == 1


def test_a_closed_queue_stays_closed(tmp_path):
    queue, owner = Queue.open_in(tmp_path, "test")
    filled(queue)
    first, second, third = queue.take(), queue.take(), queue.take()
    assert queue.is_open()
    queue.close()
    owner.release()
    assert not queue.is_open()
    first.finish()
    second.fail("too late")
    third.put_back()
    assert queue.take() is None and queue.num_left() == 0
    assert list(tmp_path.iterdir()) == []


def test_queues_of_the_dead_are_swept_and_those_of_the_living_stay(tmp_path):
    stale = tmp_path / "queue" / "test-1"
    stale.mkdir(parents=True)
    (stale / "000000.json").write_text("{}")
    living = tmp_path / "queue" / "test-2"
    living.mkdir()
    held = Lock(living / "owner")
    queue, owner = Queue.open_in(tmp_path, "test")
    assert not stale.exists() and living.exists()
    queue.close()
    owner.release()
    held.release()
    assert living.exists()


def test_opening_while_another_sweeps_gives_a_queue_that_is_there(tmp_path):
    """Two commands that begin at once must not remove each other's new queue."""
    code = (
        "import sys; from pathlib import Path; from surplus.store import Queue\n"
        "for _ in range(60):\n"
        "    queue, owner = Queue.open_in(Path(sys.argv[1]), 'test')\n"
        "    queue.put(0, 'x', {}); assert queue.is_open(); queue.take().finish()\n"
        "    queue.close(); owner.release()\n"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for each in both:
        assert each.communicate()[1] == ""
        assert each.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_the_piece_can_be_taken_again(queue, monkeypatch):
    filled(queue, 1)

    def full(descriptor, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "put", full)
    with pytest.raises(StorageFailure, match="The disk is full"):
        queue.put(1, "x", {})
    with pytest.raises(StorageFailure, match="The disk is full"):
        queue.take()
    monkeypatch.undo()
    assert queue.take().title == "piece 0"
