"""Exploration: the claims on planted tables, the arms, and a tiny study from end to end."""

import pandas
import pytest

from surplus.methods import Context
from surplus.store import Store
from surplus.studies import Found, study
from surplus.studies.questions.exploration import CLUSTER_STEPS, STEPS, Exploration

STUDY = Exploration(seeds=20, widths=(2, 20), gammas=(8.0, 1.0), draws=4)


def planted(perfect, found=4, angle=1.0, late=0.99):
    """Return tables in which `perfect(gamma, width)` of the networks generalise, and so many patterns are found."""
    events, units = [], []
    for gamma in STUDY.gammas:
        for width in STUDY.widths:
            for replica in range(20):
                key = {
                    "task": "xord",
                    "width": width,
                    "gamma": gamma,
                    "draw": 0,
                    "replica": replica,
                }
                right = replica < perfect(gamma, width) * 20
                events.append(
                    {
                        **key,
                        "step": STEPS,
                        "train_accuracy": 1.0,
                        "test_accuracy": 1.0 if right else 0.8,
                    }
                )
                num = found if right or width == 20 else 2
                for step, degrees in ((0, 22.0 + replica / 10), (STEPS, angle + replica / 100)):
                    units += [
                        {
                            **key,
                            "step": step,
                            "unit": unit,
                            "direction": unit % num,
                            "angle_degrees": degrees,
                            "norm": 1.0,
                            "fan_out_strongest": 1.0 if unit % num % 2 == 0 else -1.0,
                        }
                        for unit in range(4)
                    ]
    for draw in range(4):
        key = {"task": "xor-cluster", "width": 100, "gamma": None, "draw": draw, "replica": draw}
        for step, train, test in ((1, 0.98, 0.5), (CLUSTER_STEPS[-1], 1.0, late)):
            events.append(
                {**key, "step": step, "train_accuracy": train, "test_accuracy": test + draw / 1000}
            )
            turned = 80.0 if step == 1 else 60.0 + draw
            units.append(
                {
                    **key,
                    "step": step,
                    "unit": 0,
                    "direction": 0,
                    "angle_degrees": turned,
                    "norm": 1.0,
                    "fan_out_strongest": 0.1,
                }
            )
    return Found(
        {"history/events": pandas.DataFrame(events), "alignment/units": pandas.DataFrame(units)},
        "default",
    )


def verdicts(found):
    return {claim.name: each.verdict for claim, each in STUDY.evidence(found).items()}


def test_the_published_world_is_recognised():
    found = planted(lambda gamma, width: float(gamma == 8 and width == 20))
    expected = dict.fromkeys(verdicts(found), "holds")
    assert verdicts(found) == {**expected, "finding-is-enough": "fails"}


def test_a_world_without_the_effect_is_recognised():
    found = planted(lambda gamma, width: float(gamma == 1), angle=22.0, late=0.5)
    assert verdicts(found) == {
        "wider-generalises-better": "fails",
        "margins-must-differ": "fails",
        "wider-finds-more": "holds",
        "finding-decides": "fails",
        "finding-is-enough": "holds",
        "filters-cluster": "fails",
        "collapse-does-not-decide": "fails",
        "benign-overfitting-comes-late": "fails",
        "alignment-comes-late": "holds",
    }


def test_patterns_that_are_not_found_are_not_counted():
    found = planted(lambda gamma, width: 0.0, found=2)
    assert verdicts(found)["wider-finds-more"] == "fails"


def test_margins_share_nets_and_seeds():
    arms = list(STUDY.arms())
    assert len(arms) == 2 * 2 + 4
    nets = {arm.labels["width"]: arm.spec.net for arm in arms if arm.labels["task"] == "xord"}
    assert all(
        arm.spec.net == nets[arm.labels["width"]] for arm in arms if arm.labels["task"] == "xord"
    )
    assert len({arm.seeds for arm in arms[4:]}) == 4


@pytest.mark.slow
def test_a_tiny_study_from_end_to_end(tmp_path):
    tiny = Exploration(seeds=2, widths=(2, 4), draws=2)
    context = Context(store=Store(tmp_path / "runs"), progress=False)
    outcome = study(tiny, "smoke", out=tmp_path / "out", context=context)
    table = outcome.study.tables(outcome.found)["generalisation"]
    assert len(table) == 4
    assert (table["n"] == 2).all()
    assert set(outcome.study.figures(outcome.found)) == {"width", "xor-cluster"}
