"""A coin with a known bias as a study: every claim's truth is known, and jobs that misbehave on request."""

import os
import random
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas
from matplotlib.figure import Figure

from planted import Stripes, TinyMLP
from surplus.base import Table, register
from surplus.methods import Context, Method, Results
from surplus.store import Run
from surplus.studies import (
    Arm,
    Evidence,
    Found,
    Study,
    above,
    claim,
    lines,
    paired,
    pick,
    share_above,
)
from surplus.training import Spec, Training


@register("flip")
@dataclass(frozen=True, kw_only=True, slots=True)
class Flip(Method):
    """Flip a coin several times; the run's seed says how it falls."""

    bias: float = 0.5
    num_flips: int = 4

    def compute(self, run: Run, context: Context) -> Results:
        chance = random.Random(f"{run.seed} {self.bias}")
        heads = [chance.random() < self.bias for _ in range(self.num_flips)]
        rows = [{"flip": number, "heads": each} for number, each in enumerate(heads)]
        return Results(tables={"flips": Table.from_rows(rows)})


@register("misbehave")
@dataclass(frozen=True, kw_only=True, slots=True)
class Misbehave(Method):
    """Do something bad as long as a file is there: die once, die always, raise, be slow, or leave the disk full."""

    what: str
    file: str = ""
    seconds: float = 0.0

    def compute(self, run: Run, context: Context) -> Results:
        time.sleep(self.seconds)
        there = Path(self.file).exists() if self.file else True
        if there and self.what == "die once":
            Path(self.file).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if there and self.what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if there and self.what == "raise":
            raise RuntimeError("the coin fell off the table")
        if there and self.what == "fill":
            raise_full_disk(run.path)
        return Results(tables={"deeds": Table({"what": [self.what], "process": [os.getpid() > 0]})})


def raise_full_disk(folder: Path) -> None:
    """Let the store write with no room left."""
    import resource

    from surplus.store.files import write_whole

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        write_whole(folder / "large", b"x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def short(num_steps: int = 2, **settings: object) -> Spec:
    """Return a spec that trains in a moment."""
    training = Training(batch_size=10, num_steps=num_steps, **settings)  # type: ignore[arg-type]
    return Spec(net=TinyMLP(), task=Stripes(), training=training)


@register("coin")
@dataclass(frozen=True, kw_only=True, slots=True)
class Coin(Study):
    """Two coins are flipped, one of them loaded. <b>Bold</b> & "quoted".

    Reference: own.
    """

    question: ClassVar = "Is the coin <loaded> & fair?"
    smoke: ClassVar = {"seeds": 2}
    full: ClassVar = {"seeds": 40, "num_flips": 8}

    seeds: int = 5
    """How many replicas."""
    bias: float = 0.9
    """How often the loaded coin shows heads."""
    num_flips: int = 4
    """How often each is flipped."""

    def arms(self) -> Iterable[Arm]:
        for name, bias in (("fair", 0.5), ("loaded", self.bias)):
            flip = Flip(bias=bias, num_flips=self.num_flips)
            yield Arm(labels={"coin": name}, spec=short(), methods=(flip,))

    @claim("The loaded coin shows heads more often than the fair one.", source="lecun1998gradient")
    def loaded_beats_fair(self, found: Found) -> Evidence:
        """The share of heads, paired by replica."""
        flips = found["flip/flips"].assign(heads=lambda each: each["heads"].astype(float))
        gain = paired(flips, "heads", {"coin": "loaded"}, {"coin": "fair"})
        return above(gain, what="more heads, share", least=0.1)

    @claim("The first flip of the loaded coin is <heads> more often than not.", place="Section <2>")
    def first_is_heads(self, found: Found) -> Evidence:
        """Exact, one flip for each replica."""
        first = pick(found["flip/flips"], coin="loaded", flip=0)
        return share_above(first["heads"].sum(), len(first), what="heads", bound=0.5, least=0.1)

    @claim("It takes many to see.", needs="full")
    def needs_many(self, found: Found) -> Evidence:
        """Only at full scale there is a fourth flip."""
        flips = pick(found["flip/flips"], coin="loaded", flip=7)
        return share_above(flips["heads"].sum(), len(flips), what="heads", bound=0.5)

    def tables(self, found: Found) -> Mapping[str, pandas.DataFrame]:
        flips = found["flip/flips"]
        return {"shares": flips.groupby("coin")["heads"].agg(["mean", "count"])}

    def figures(self, found: Found) -> Mapping[str, Figure]:
        flips = found["flip/flips"].assign(heads=lambda each: each["heads"].astype(float))
        return {"heads": lines(flips, "flip", "heads", by="coin")}
