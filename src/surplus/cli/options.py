"""Options that several subcommands share, and how their words become objects."""

import dataclasses
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, final

import tyro

from surplus.base import Family, InvalidArgument, decode
from surplus.cli.folders import runs_folder
from surplus.methods import Context
from surplus.store import Store

# The comma before a name and `=`, not one inside a value.
SETTING = re.compile(r",(?=\s*[A-Za-z_][\w-]*=)")
F = TypeVar("F", bound=Family)


@final
@dataclass
class Common:
    """Where to work."""

    runs: Path = dataclasses.field(default_factory=runs_folder)
    """The folder of runs; the default is $SURPLUS_RUNS, else ./runs."""
    data: Path | None = None
    """The folder of data sets; the default is $SURPLUS_DATA, else the user's cache folder."""
    download: tyro.conf.FlagCreatePairsOff[bool] = False
    """Fetch missing data from their publishers, hash-checked."""
    device: str = "cpu"
    """Where to train: cpu, cuda, cuda:1 ...; ablations and cuts are computed on the CPU."""
    threads: int = 1
    """Threads of torch; with one, results do not depend on the number of cores."""
    quiet: tyro.conf.FlagCreatePairsOff[bool] = False
    """Show no progress."""

    def context(self) -> Context:
        """Return the context that these options describe, and set the process up for long work."""
        from surplus.training import keep_freed_memory

        if self.threads < 1:
            raise InvalidArgument(f"`--threads` is {self.threads}; it must be at least 1.")
        keep_freed_memory()
        context = Context(
            store=Store(self.runs),
            data=self.data,
            download=self.download,
            device=self.device,
            threads=self.threads,
            progress=not self.quiet,
        )
        context.torch_device()  # a device that is not there is an error at once
        return context


def member(family: type[F], text: str) -> F:
    """Return the member of a family that a word describes: `magnitude`, or `pruning:layers=["fc1","fc2"],every=10`.

    Raises:
        UnknownName: nothing goes by the name; a close spelling is suggested.
        InvalidArgument: a setting is not one of the member's, or its value does not fit.
    """
    kind, _, settings = text.partition(":")
    data: dict[str, Any] = {"kind": kind}
    for setting in filter(None, SETTING.split(settings)):
        key, equals, value = setting.partition("=")
        if not equals:
            raise InvalidArgument(
                f"`{text}` has a setting without a value: write `{kind}:{key}=...`."
            )
        data[key.replace("-", "_")] = _value(value)
    return decode(family, data, family.__name__.lower())


def _value(text: str) -> Any:
    if text.lower() == "none":
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def say(*words: str) -> None:
    """Say something that is not a result: to standard error."""
    print(*words, file=sys.stderr)
