"""What is left to do of a study, as jobs in waves."""

from collections.abc import Sequence

from surplus.store import Run
from surplus.studies.grid import Grid
from surplus.studies.job import Job
from surplus.training import Spec

Trainee = tuple[Spec, int, Run]
JOBS_PER_WORKER = 3  # so that no worker is left alone with a long last job


def remaining(grid: Grid, num_workers: int) -> list[list[Job]]:
    """Return the jobs that are not done: trainings, those first that others start from; then the methods.

    How the work is divided changes nothing in what comes out.
    """
    made_by = f"study {grid.study.kind}"
    todo = [each for each in grid.specs().values() if not each[2].is_sealed()]
    waves = [_trainings(wave, made_by, num_workers) for wave in _generations(todo)]
    waves.append(
        [
            Job(
                title=f"{method.kind} of {', '.join(map(str, replica.arm.labels.values()))}",
                made_by=made_by,
                apply=((replica.run.fingerprint, replica.run.seed, method),),
            )
            for replica, method in grid.computations()
            if not replica.done(method)
        ]
    )
    return [wave for wave in waves if wave]


def _generations(todo: Sequence[Trainee]) -> list[list[Trainee]]:
    """Sort trainings so that each comes after the one from which it starts."""
    waves = []
    left = list(todo)
    while left:
        unmade = {run.fingerprint for _, _, run in left}
        ready = [each for each in left if each[0].start is None or each[0].start.run not in unmade]
        ready = ready or left  # a circle cannot be trained; the trainings themselves say so
        waves.append(ready)
        begun = {run.name for _, _, run in ready}
        left = [each for each in left if each[2].name not in begun]
    return waves


def _trainings(wave: Sequence[Trainee], made_by: str, num_workers: int) -> list[Job]:
    """Return the trainings of a wave: replicas of a spec together, in as many groups as keep all workers busy."""
    replicas: dict[Spec, list[int]] = {}
    for spec, seed, _ in wave:
        replicas.setdefault(spec, []).append(seed)
    groups = 1 if num_workers == 1 else -(-JOBS_PER_WORKER * num_workers // len(replicas))
    jobs = []
    for spec, seeds in replicas.items():
        size = -(-len(seeds) // groups)
        for start in range(0, len(seeds), size):
            chosen = seeds[start : start + size]
            jobs.append(
                Job(
                    title=f"training {spec.net.kind} on {spec.task.kind}",
                    made_by=made_by,
                    train=tuple((spec, seed) for seed in chosen),
                )
            )
    return jobs
