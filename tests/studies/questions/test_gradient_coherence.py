"""The study of gradient coherence: what its claims make of planted numbers, its arms, and a small run."""

import numpy
import pandas
import pytest

from surplus.methods import Context, Measuring
from surplus.store import Store
from surplus.studies import Found, study
from surplus.studies.questions import CoherentGradients, gradient_coherence
from surplus.tasks import MNIST10k
from surplus.training.optimizers import SGD

STEPS = (20, 40, 80, 160, 320)
ROBUST = ("winsorised", "median of three", "rolling median")


def planted(coherence, gap):
    """Findings and histories in which m alpha and the gap between memorised and test accuracy are planted."""
    findings = [
        {
            "labels": labels,
            "replica": replica,
            "step": step,
            "quantity": "m_alpha",
            "layer": layer,
            "value": coherence[labels] * (1 + 0.01 * replica) + 100 * (layer is not None),
        }
        for labels in coherence
        for replica in range(5)
        for step in STEPS
        for layer in (None, "fc1")
    ]
    events = [
        {
            "labels": "half changed",
            "gradients": gradients,
            "replica": replica,
            "step": step,
            "clean_accuracy": 0.9,
            "memorised_accuracy": 0.5 + 0.01 * replica,
            "healed_accuracy": 0.3,
            "test_accuracy": 0.5 + 0.01 * replica - (gap[gradients] if step else 5.0),
        }
        for gradients in gap
        for replica in range(5)
        for step in (0, 100, 200)
    ]
    frames = {
        "measuring/findings": pandas.DataFrame(findings),
        "history/events": pandas.DataFrame(events),
    }
    return Found(frames, "default")


def judged(found):
    evidence = CoherentGradients().evidence(found)
    return {claim.name: each for claim, each in evidence.items()}


def test_claims_hold_where_gradients_cohere_and_robust_ones_do_not_memorise():
    found = planted(
        {"real": 40.0, "half changed": 10.0, "random": 4.0},
        {"mean": 0.3, **dict.fromkeys(ROBUST, 0.2)},
    )
    evidence = judged(found)
    assert {each.verdict for each in evidence.values()} == {"holds"}
    doublings = evidence["real-labels-cohere"].estimate
    assert doublings == pytest.approx(numpy.log2(10))  # the layers' own numbers are left out
    assert evidence["winsorised-memorises-less"].estimate == pytest.approx(-10)


def test_claims_fail_where_labels_and_gradients_make_no_difference():
    found = planted(
        dict.fromkeys(("real", "half changed", "random"), 1.0),
        {"mean": 0.3, **dict.fromkeys(ROBUST, 0.3)},
    )
    assert {each.verdict for each in judged(found).values()} == {"fails"}


def test_one_robust_gradient_that_does_not_generalise_is_told():
    found = planted(
        {"real": 40.0, "half changed": 10.0, "random": 4.0},
        {"mean": 0.3, "winsorised": 0.2, "median of three": 0.2, "rolling median": 0.35},
    )
    evidence = judged(found)
    assert evidence["rolling-median-memorises-less"].verdict == "fails"
    assert evidence["median-of-three-memorises-less"].verdict == "holds"
    assert evidence["robust-gradients-generalise"].verdict == "fails"
    assert "rolling median (1 of 3 fails)" in evidence["robust-gradients-generalise"].what


def test_all_arms_take_as_many_steps_on_one_network():
    arms = list(CoherentGradients().arms())
    assert len(arms) == len({arm.spec for arm in arms}) == 6
    assert len({arm.spec.net for arm in arms}) == 1
    assert len({(arm.spec.training.batch_size, arm.spec.training.num_epochs) for arm in arms}) == 1
    for arm in arms[3:]:
        assert arm.spec.training.optimizer.inner == SGD(learning_rate=0.1)
        assert arm.spec.task == arms[1].spec.task
    measured = [each.at for each in arms[0].methods if isinstance(each, Measuring)]
    assert measured == [20, 40, 80, 160, 320]
    assert arms[0].spec.training.snapshots.given == tuple(measured)


def test_it_runs_from_end_to_end(tmp_path, monkeypatch):
    monkeypatch.setattr(gradient_coherence, "MNIST", MNIST10k)
    asked = CoherentGradients(seeds=2, width=4, num_examples=200, num_epochs=4)
    outcome = study(asked, "smoke", context=Context(store=Store(tmp_path), progress=False))
    assert {each.n for each in outcome.evidence.values()} == {2}
    tables = asked.tables(outcome.found)
    assert list(tables["coherence"]["step"]) == [2, 4, 8] * 3
    assert (tables["coherence"]["m_alpha"] > 0).all()
    assert list(tables["memorised"]["gradients"]) == ["mean"] * 3 + list(ROBUST)
    assert tables["memorised"]["memorised"].isna().tolist() == [True] + [False] * 5
    assert set(asked.figures(outcome.found)) == {"coherence", "memorised"}
