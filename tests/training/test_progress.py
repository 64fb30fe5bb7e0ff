"""The bar is for people: on a terminal it shows rate and time left, anywhere else not a single byte."""

import io
import os
import pty
import subprocess
import sys
import time

import pytest

from surplus.training import progress

WORK = (
    "import sys; from surplus.cli import main;"
    "sys.exit(main(['train', '--net', 'lenet-300-100:width=0.1', '--training.num-steps', '40', *sys.argv[1:]]))"
)


class Terminal(io.StringIO):
    """Standard error as a person has it."""

    def isatty(self):
        return True


@pytest.fixture
def shown_on(monkeypatch):
    """Return a function that lets a bar run to its end and returns what standard error took."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")

    def run(stream, **settings):
        monkeypatch.setattr(sys, "stderr", stream)
        with progress("lenet on digits", 4, "steps", **settings) as bar:
            for done in range(1, 5):
                bar.update(done, f"loss 0.{done}")
                time.sleep(0.01)
        return stream.getvalue()

    return run


def test_off_a_terminal_it_is_silent(shown_on):
    assert shown_on(io.StringIO()) == ""


def test_on_a_terminal_it_shows_rate_time_left_and_the_note(shown_on):
    text = shown_on(Terminal())
    for part in ("lenet on digits", "4/4", "steps/s", "0:00:00", "loss 0.4"):
        assert part in text


def test_it_is_silent_on_a_terminal_too_when_asked(shown_on):
    assert shown_on(Terminal(), shown=False) == ""


@pytest.mark.parametrize(
    ("words", "terminal", "silent"),
    [([], False, True), ([], True, False), (["--quiet"], True, True)],
    ids=["piped", "terminal", "terminal, quiet"],
)
def test_a_command_draws_its_bar_on_a_terminal_only(words, terminal, silent, tmp_path):
    ours, theirs = pty.openpty() if terminal else os.pipe()
    environment = {**os.environ, "TERM": "xterm"}
    try:
        done = subprocess.Popen(
            [sys.executable, "-c", WORK, *words],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        drawn = b"".join(iter(lambda: _read(ours), b""))
        out, _ = done.communicate()
    finally:
        os.close(ours)
    assert done.returncode == 0
    assert b"complete at step 40" in out and b"\x1b" not in out
    assert (drawn == b"") == silent
    assert silent or b"lenet-300-100 on mnist-10k" in drawn


def _read(descriptor):
    try:
        return os.read(descriptor, 4096)
    except OSError:  # how Linux says that the other end of a terminal is closed
        return b""
