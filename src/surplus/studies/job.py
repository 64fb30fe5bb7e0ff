"""Jobs: the pieces of work that a study is divided into."""

import traceback
from dataclasses import dataclass
from typing import Any, final

from surplus.base import InvalidArgument, RunBusy, StorageFailure, SurplusError, decode, encode
from surplus.methods import Context, Method, train_all
from surplus.store import Failure
from surplus.training import Spec


@final
@dataclass(frozen=True, kw_only=True)
class Job:
    """Runs to train, then methods to apply to runs that are trained; doing it twice does nothing the second time."""

    title: str
    """What it is, for people."""
    made_by: str
    """Who asked for the runs."""
    train: tuple[tuple[Spec, int], ...] = ()
    """Specs with seeds."""
    apply: tuple[tuple[str, int, Method], ...] = ()
    """Fingerprints and seeds of runs, each with a method."""

    def do(self, context: Context) -> None:
        """Do what is not done yet."""
        train_all(self.train, context, self.made_by)
        for fingerprint, seed, method in self.apply:
            run = context.store.run(fingerprint, seed)
            if not run.is_sealed():
                raise InvalidArgument(f"{run.name} was not trained to its end.")
            method.apply(run, context)

    def attempt(self, context: Context) -> Failure | None:
        """Do it and return why that failed, if it did.

        Raises:
            RunBusy: another process does a part of it at this moment.
            StorageFailure: the disk is full; other jobs would fail too.
        """
        try:
            self.do(context)
        except (RunBusy, StorageFailure):
            raise
        except SurplusError as failed:
            return Failure(self.title, str(failed))
        except Exception:
            return Failure(self.title, traceback.format_exc())
        return None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {
            "title": self.title,
            "made_by": self.made_by,
            "train": [[encode(spec), seed] for spec, seed in self.train],
            "apply": [[address, seed, encode(method)] for address, seed, method in self.apply],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Job":
        """Rebuild a job from what `to_json` returned."""
        return cls(
            title=data["title"],
            made_by=data["made_by"],
            train=tuple((decode(Spec, spec), seed) for spec, seed in data["train"]),
            apply=tuple(
                (address, seed, decode(Method, method)) for address, seed, method in data["apply"]
            ),
        )
