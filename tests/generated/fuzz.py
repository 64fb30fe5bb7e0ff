"""Check as many random architectures as asked: `python tests/generated/fuzz.py 5000`, or `make fuzz N=5000`.

It goes on after failures and prints, for each kind of failure, the shortest program that showed it; at the end it
counts why units were protected and cuts refused. A second number is the seed to begin with.
"""

import re
import signal
import sys
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
from hypothesis import HealthCheck, Phase, given, seed, settings

from generated.comparing import REFUSALS
from generated.editing import DONE
from generated.program import Program, programs
from generated.properties import REFEREED, check

BATCH = 100
PATIENCE_SECONDS = 20


def fuzz(count: int, start: int) -> tuple[Counter[str], dict[str, tuple[Program, str]]]:
    """Check `count` programs, in batches that begin with seeds from `start` on; return the failures by kind."""
    failures: Counter[str] = Counter()
    shortest: dict[str, tuple[Program, str]] = {}

    def attempt(program: Program) -> None:
        signal.alarm(PATIENCE_SECONDS)
        try:
            check(program)
        except Exception as failed:
            kind = kind_of(failed)
            failures[kind] += 1
            if kind not in shortest or len(repr(program)) < len(repr(shortest[kind][0])):
                shortest[kind] = (program, traceback.format_exc(limit=-5))
        finally:
            signal.alarm(0)

    for number in range(start, start + -(-count // BATCH)):
        batch = settings(
            max_examples=min(BATCH, count),
            deadline=None,
            database=None,
            derandomize=False,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        seed(number)(batch(given(program=programs())(attempt)))()
    return failures, shortest


def _give_up(number: int, frame: object) -> None:
    raise TimeoutError(f"it took longer than {PATIENCE_SECONDS} seconds")


def kind_of(failed: Exception) -> str:
    """Return what tells failures apart: the type, the place, and the message without numbers."""
    frame = traceback.extract_tb(failed.__traceback__)[-1]
    message = re.sub(r"[-\d.e]*\d[-\d.e]*", "#", str(failed).partition("\n")[0])[:100]
    return f"{type(failed).__name__} in {Path(frame.filename).name}:{frame.lineno} {message}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, _give_up)
    failures, shortest = fuzz(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    for kind, (program, trace) in shortest.items():
        print(f"\n{kind}\n{program!r}\n{trace}")
    listed = {"failures": failures, "refusals": REFUSALS, "referee": REFEREED, "edited": DONE}
    for title, counts in listed.items():
        print(f"\n{title}")
        for reason, number in counts.most_common():
            print(f"{number:8}  {reason}")
    sys.exit(bool(failures))
