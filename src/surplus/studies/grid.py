"""The grid of a study: every arm with each of its replicas, as runs in a store."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from surplus.base import Cell, InvalidArgument, Task
from surplus.methods import Context, Method, address
from surplus.store import Run
from surplus.studies.arm import Arm
from surplus.studies.study import Study
from surplus.training import Spec


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Replica:
    """One run of one arm."""

    arm: Arm
    run: Run

    def labelled(self) -> dict[str, Cell]:
        """Return what stands in front of every row that is found in it."""
        return {**self.arm.labels, "replica": self.run.seed, "run": self.run.name}

    def done(self, method: Method) -> bool:
        """Say whether a method's results are there."""
        return self.run.is_sealed() and method.known(self.run) is not None


@final
class Grid:
    """All replicas of a study, in the order of its arms.

    Raises:
        InvalidArgument: two arms have the same labels, or different ones.
    """

    def __init__(self, study: Study, context: Context) -> None:
        self.study = study
        self._context = context
        self.arms = list(study.arms())
        _check_labels(self.arms)
        self.replicas = [
            Replica(arm=arm, run=context.store.run(fingerprint, seed))
            for arm, fingerprint in zip(self.arms, _addresses(self.arms), strict=True)
            for seed in (range(study.seeds) if arm.seeds is None else arm.seeds)
        ]

    def specs(self) -> dict[str, tuple[Spec, int, Run]]:
        """Return what is trained, by the run's name: each once, whichever arms share it."""
        return {each.run.name: (each.arm.spec, each.run.seed, each.run) for each in self.replicas}

    def num_train(self, task: Task) -> int:
        """Return how many training examples a task has."""
        return len(self._context.parts(task).train)

    def computations(self) -> Iterator[tuple[Replica, Method]]:
        """Yield every method with the run that it is applied to: each once."""
        seen: set[tuple[str, Method]] = set()
        for each in self.replicas:
            for method in each.arm.methods:
                if (each.run.name, method) not in seen:
                    seen.add((each.run.name, method))
                    yield each, method


def _addresses(arms: list[Arm]) -> list[str]:
    known: dict[Spec, str] = {}
    return [known.setdefault(arm.spec, address(arm.spec)) for arm in arms]


def _check_labels(arms: list[Arm]) -> None:
    if not arms:
        raise InvalidArgument("The study has no arms; `arms` must return at least one.")
    names = set(arms[0].labels)
    for arm in arms:
        if set(arm.labels) != names:
            raise InvalidArgument(
                f"The arms of a study have the same labels: one has {sorted(names)}, another {sorted(arm.labels)}."
            )
    seen = [tuple(sorted(map(str, arm.labels.items()))) for arm in arms]
    twice = next((each for each in seen if seen.count(each) > 1), None)
    if twice is not None:
        raise InvalidArgument(f"Two arms of the study have the labels {', '.join(twice)}.")
