from dataclasses import replace

import pandas
import pytest

from running import context
from surplus.nets import LeNet300100
from surplus.scores import FramePotential, Magnitude, Random
from surplus.studies import Found, study
from surplus.studies.questions.pruning_criteria import PruningCriteria
from surplus.tasks import MNIST10k

NETS = "LeNet, SGD", "LeNet, Adam", "Conv-2", "Conv-6"
LEVELS = {
    ("magnitude", "lowest"): 0.9,
    ("frame-potential", "lowest"): 0.8,
    ("random", "lowest"): 0.7,
    ("frame-potential", "highest"): 0.5,
}
MERGING = {
    ("similarity", "nothing"): 0.5,
    ("similarity", "nearest"): 0.9,
    ("magnitude", "nothing"): 0.7,
    ("magnitude", "nearest"): 0.8,
    ("magnitude", "fitted"): 0.9,
}


def planted(levels=LEVELS, merging=MERGING, conv2=None):
    """Return what would be found if each order had its own level of accuracy, give or take the network's."""
    curves, merged = [], []
    for net in NETS:
        for replica in range(5):
            front = {"net": net, "layer": "fc1", "replica": replica}
            noise = 0.001 * replica
            for removed in range(5):
                own = levels | (conv2 or {}) if net == "Conv-2" else levels
                for (score, remove), level in own.items():
                    row = {"score": score, "remove": remove, "num_removed": removed}
                    curves.append({**front, **row, "test_accuracy": level + noise})
                for (order, taken), level in merging.items():
                    row = {"order": order, "taken_over": taken, "num_removed": removed}
                    merged.append({**front, **row, "test_accuracy": level + noise})
    frames = {"ablation/curves": curves, "merging/curves": merged}
    return Found({name: pandas.DataFrame(rows) for name, rows in frames.items()}, "default")


def verdicts(found):
    evidence = PruningCriteria().evidence(found)
    return {claim.name: each.verdict for claim, each in evidence.items()}


def test_planted_orderings_hold():
    agreeing = {("frame-potential", "lowest"): 0.895}
    found = verdicts(planted(conv2=agreeing))
    assert found.pop("the-order-holds-in-convolutional-networks") == "fails"
    assert set(found.values()) == {"holds"}


def test_where_all_orders_are_alike_nothing_holds_but_agreement():
    alike = dict.fromkeys(LEVELS, 0.7), dict.fromkeys(MERGING, 0.7)
    found = verdicts(planted(*alike))
    assert found.pop("criteria-agree-on-conv2") == "holds"
    assert set(found.values()) == {"fails"}


def test_an_effect_below_a_point_is_none():
    found = verdicts(planted({**LEVELS, ("magnitude", "lowest"): 0.805}))
    assert found["magnitude-beats-frame-potential"] == "fails"
    assert found["isolated-units-matter-less-than-random-ones"] == "holds"


def test_curves_far_apart_do_not_agree():
    assert verdicts(planted())["criteria-agree-on-conv2"] == "fails"


def test_the_arms_are_four_kinds_of_networks():
    arms = list(PruningCriteria().arms())
    assert [arm.labels["net"] for arm in arms] == list(NETS)
    assert len({arm.spec for arm in arms}) == 4
    full = list(PruningCriteria.at_scale("full").arms())
    assert [arm.spec.training.num_steps for arm in full[2:]] == [20_000, 30_000]
    assert len(full[0].methods[0].scores) == len(arms[0].methods[0].scores) + 2


def test_it_runs_from_training_to_verdicts(tmp_path, monkeypatch):
    scores = (Magnitude(), FramePotential(), Random())
    tiny = replace(PruningCriteria.at_scale("smoke"), num_examples=60, scores=scores)
    arms = list(tiny.arms())
    training = replace(arms[0].spec.training, num_epochs=None, num_steps=20)
    spec = replace(arms[0].spec, net=LeNet300100(width=0.05), task=MNIST10k(), training=training)
    few = [
        replace(
            arm,
            spec=spec,
            methods=tuple(replace(each, layers=("fc1",)) for each in arm.methods),
        )
        for arm in arms
    ]
    monkeypatch.setattr(PruningCriteria, "arms", lambda _: few)
    outcome = study(tiny, "smoke", context=context(tmp_path), out=tmp_path / "out")
    assert len(outcome.evidence) == len(PruningCriteria.claims())
    assert {"criteria", "merging"} <= {path.stem for path in (tmp_path / "out").rglob("*.svg")}


@pytest.mark.parametrize("scale", ["smoke", "default", "full"])
def test_every_scale_can_be_made(scale):
    assert len(list(PruningCriteria.at_scale(scale).arms())) == 4
