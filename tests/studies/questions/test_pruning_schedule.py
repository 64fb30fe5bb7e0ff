from dataclasses import replace

import pandas

from running import context
from surplus.methods import address
from surplus.scores import Magnitude, Random
from surplus.studies import Found, study
from surplus.studies.questions.pruning_schedule import PruningSchedule

STUDY = PruningSchedule()
STEPS = STUDY.steps()


def planted(cost, random_cost=None, start=0.05):
    """Return what would be found if pruning at a step cost so much in the end, the larger fraction ten times that."""
    rows = []
    for score in ("magnitude", "random"):
        for sparsity, factor in ((0.5, 0.1), (0.9, 1.0)):
            for replica in range(5):
                ends = {"unpruned": (0, 0.0), "random at start": (0, start)}
                for place, step in enumerate(STEPS):
                    chosen = random_cost if score == "random" and random_cost else cost
                    ends[f"pruned at {step}"] = step, factor * chosen[place]
                for arm, (pruned_at, lost) in ends.items():
                    for at, accuracy in ((900, 0.5), (1800, 0.95 - lost + 0.001 * replica)):
                        row = {"score": score, "sparsity": sparsity, "replica": replica, "arm": arm}
                        seen = {"test_accuracy": accuracy, "validation_accuracy": accuracy}
                        rows.append({**row, "pruned_at": pruned_at, "step": at, **seen})
    return Found({"scheduled-pruning/history": pandas.DataFrame(rows)}, "default")


def verdicts(found):
    return {claim.name: each.verdict for claim, each in STUDY.evidence(found).items()}


def test_where_waiting_pays_all_claims_hold():
    found = verdicts(planted((0.02, 0.01, 0.005, 0.0), random_cost=(0.03, 0.03, 0.03, 0.03)))
    assert set(found.values()) == {"holds"}


def test_where_removal_costs_the_same_at_any_time_waiting_does_not_pay():
    found = verdicts(planted((0.05, 0.05, 0.05, 0.05)))
    assert set(found.values()) == {"fails"}


def test_a_cost_of_a_tenth_of_a_point_is_none():
    found = verdicts(planted((0.001, 0.001, 0.001, 0.001)))
    assert found["half-can-always-go"] == found["most-can-go-late"] == "holds"
    assert found["late-removal-costs-less"] == found["the-criterion-matters"] == "fails"


def test_all_arms_share_the_unpruned_network():
    arms = list(STUDY.arms())
    assert len(arms) == 6
    (spec,) = {arm.spec for arm in arms}
    for arm in arms:
        (pruning,) = arm.methods
        forks = pruning.arms(spec)
        assert address(forks[0][2]) == address(spec)
        assert [step for _, step, _ in forks[1:-1]] == [0, 90, 540, 1260]


def test_it_runs_from_training_to_verdicts(tmp_path):
    tiny = replace(
        STUDY, seeds=2, net="lenet-mnist-10k", num_steps=10, moments=(0.0, 0.5), sparsities=(0.5,)
    )
    tiny = replace(tiny, scores=(Magnitude(), Random()))
    outcome = study(tiny, "smoke", context=context(tmp_path), out=tmp_path / "out")
    assert len(outcome.evidence) == len(STUDY.claims())
    assert (tmp_path / "out").exists()
