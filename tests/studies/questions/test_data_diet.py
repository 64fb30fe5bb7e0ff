"""The study of the data diet: what its claims make of planted accuracies, its arm, and a small run."""

import pandas
import pytest

from surplus.methods import Context
from surplus.nets import MLP
from surplus.store import Store
from surplus.studies import Found, study
from surplus.studies.questions import HalfTheExamples
from surplus.tasks import MNIST10k

WORKS = {
    "all": 0.89,
    "el2n": 0.89,
    "el2n of another": 0.889,
    "input norm": 0.86,
    "random": 0.87,
}
DOES_NOT = {
    "all": 0.89,
    "el2n": 0.86,
    "el2n of another": 0.85,
    "input norm": 0.86,
    "random": 0.87,
}


def judged(accuracies, noise=0.0):
    """Return the evidence from accuracies that are those planted, with what each replica has of its own."""
    rows = [
        {
            "trained_on": name,
            "replica": replica,
            "test_accuracy": accuracy + 0.01 * replica + noise * (place - 2) * (-1) ** replica,
        }
        for place, (name, accuracy) in enumerate(accuracies.items())
        for replica in range(4)
    ]
    found = Found({"data-diet/accuracies": pandas.DataFrame(rows)}, "default")
    evidence = HalfTheExamples().evidence(found)
    return {claim.name: each for claim, each in evidence.items()}


def test_a_diet_that_works_is_told_from_one_that_does_not():
    assert {each.verdict for each in judged(WORKS).values()} == {"holds"}
    assert {each.verdict for each in judged(DOES_NOT).values()} == {"fails"}


def test_losses_are_in_points_and_paired():
    assert judged(DOES_NOT)["half-is-enough"].estimate == pytest.approx(-3)
    assert judged(WORKS)["better-than-random"].estimate == pytest.approx(2)


def test_what_noise_hides_is_undecided():
    assert {each.verdict for each in judged(WORKS, noise=0.05).values()} == {"undecided"}


def test_the_method_trains_all_arms_but_one():
    (arm,) = HalfTheExamples().arms()
    (method,) = arm.methods
    clock = arm.spec.training.clock(55_000)
    assert method.sparsity == 0.5
    assert 0.05 < method.at / clock.num_steps <= 0.1
    (full,) = HalfTheExamples.at_scale("full").arms()
    assert full.methods[0].at == full.spec.training.clock(45_000).num_steps / 10


def test_it_runs_from_end_to_end(tmp_path):
    asked = HalfTheExamples(
        seeds=2,
        net=MLP(widths=(8,)),
        other=MLP(widths=(4,)),
        task=MNIST10k(subset=tuple(range(400))),
        num_epochs=2,
        num_scorers=1,
    )
    outcome = study(asked, "smoke", context=Context(store=Store(tmp_path), progress=False))
    assert {each.n for each in outcome.evidence.values()} == {2}
    tables = asked.tables(outcome.found)
    assert list(tables["accuracies"]["num_examples"]) == [400, 200, 200, 200, 200]
    assert list(tables["agreement"]["score"]) == ["el2n of another", "input norm", "random"]
    assert set(asked.figures(outcome.found)) == {"accuracies"}
