from dataclasses import replace

import pandas
import pytest

from running import context
from surplus.studies import Found, study
from surplus.studies.questions.prune_largest import UNITS, PruneLargest
from surplus.training.interventions import Pruning, PruningNoise

STUDY = PruneLargest()
TRUE = {
    ("none", "nothing"): (0.95, 0.97),
    ("lowest", "pruned"): (0.94, 0.97),
    ("lowest", "noise"): (0.94, 0.97),
    ("highest", "pruned"): (0.60, 0.98),
    ("highest", "noise"): (0.60, 0.98),
    ("random", "pruned"): (0.80, 0.975),
    ("random", "noise"): (0.80, 0.975),
}


def planted(levels):
    """Return what would be found with given accuracies right after the disturbance and in the end."""
    rows = []
    for (units, done), (after, end) in levels.items():
        for replica in range(5):
            for step, accuracy in ((STUDY.step, after), (STUDY.num_steps, end)):
                row = {"units": units, "done": done, "replica": replica, "step": step}
                rows.append({**row, "test_accuracy": accuracy + 0.001 * replica})
    return Found({"history/events": pandas.DataFrame(rows)}, "default")


def verdicts(levels):
    return {claim.name: each.verdict for claim, each in STUDY.evidence(planted(levels)).items()}


def test_planted_noise_holds_everywhere():
    assert set(verdicts(TRUE).values()) == {"holds"}


def test_where_nothing_matters_only_the_equality_with_noise_holds():
    found = verdicts(dict.fromkeys(TRUE, (0.9, 0.97)))
    assert found.pop("noise-does-the-same") == "holds"
    assert set(found.values()) == {"fails"}


@pytest.mark.parametrize("end", [0.96, 1.0])
def test_noise_that_ends_elsewhere_is_not_the_same(end):
    found = verdicts({**TRUE, ("highest", "noise"): (0.6, end)})
    assert found["noise-does-the-same"] == "fails"
    assert found["pruning-regularises"] == "holds"


def test_the_arms_differ_in_what_is_done_at_the_moment():
    arms = list(STUDY.arms())
    assert len(arms) == 7 and len({replace(arm.spec, interventions=()) for arm in arms}) == 1
    assert arms[0].spec.interventions == ()
    for number, units in enumerate(UNITS):
        (pruning,), (noise,) = (
            arms[place].spec.interventions for place in (2 * number + 1, 2 * number + 2)
        )
        assert isinstance(pruning, Pruning) and isinstance(noise, PruningNoise)
        assert noise.instead_of == pruning and pruning.first == STUDY.step
        assert arms[2 * number + 1].labels == {"units": units, "done": "pruned"}


def test_it_runs_from_training_to_verdicts(tmp_path):
    tiny = replace(STUDY, seeds=2, net="lenet-mnist-10k", num_steps=10)
    outcome = study(tiny, "smoke", context=context(tmp_path), out=tmp_path / "out")
    assert len(outcome.evidence) == len(STUDY.claims())
