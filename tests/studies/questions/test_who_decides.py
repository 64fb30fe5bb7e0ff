import pandas
import pytest

import running
from surplus.studies import Found
from surplus.studies.conduct import study
from surplus.studies.questions import WhoDecides
from surplus.tasks import MNIST10k

LAYERS = ("conv1", "conv2", "fc1", "fc2")
SECONDS = ("other batches", "other classifier", "other convolutions", "all other")


def planted(likeness):
    """Findings in which a likeness is that of a function of quantity, second network, layer and step."""
    rows = [
        {
            "second": second,
            "pair": pair,
            "measure": "planted",
            "step": step,
            "quantity": quantity,
            "layer": layer,
            "other": layer if quantity == "linear_cka" else None,
            "value": likeness(quantity, second, layer, step) + 0.001 * (pair % 3),
        }
        for quantity in ("linear_cka", "cosine_in_place", "matched_cosine", "update_cosine")
        for second in SECONDS
        for layer in LAYERS
        for step in (0, 9)
        for pair in range(5)
    ]
    return Found({"measuring/findings": pandas.DataFrame(rows)}, "default")


def as_conjectured(quantity, second, layer, step):
    """A layer's own and earlier layers' starts decide all."""
    convolution = layer.startswith("conv")
    if second == "other batches" or (second == "other classifier" and convolution):
        return 0.95
    return 0.5 if step else 0.1


def by_later_layers(quantity, second, layer, step):
    """The classifier's start decides all, and training brings nothing together."""
    return 0.2 if second in ("other classifier", "all other") else 0.9


def verdicts(found):
    asked = WhoDecides()
    return {claim.name: found.verdict for claim, found in asked.evidence(found).items()}


def test_the_conjecture_is_told_from_its_opposite():
    assert set(verdicts(planted(as_conjectured)).values()) == {"holds"}
    assert set(verdicts(planted(by_later_layers)).values()) == {"fails"}


def test_each_pair_has_one_first_network_and_four_second_ones():
    arms = list(WhoDecides(seeds=3).arms())
    assert len(arms) == 15
    firsts = [arm for arm in arms if arm.labels["second"] == "none"]
    assert {arm.seeds for arm in firsts} == {(0,), (1,), (2,)}
    assert len({arm.spec for arm in firsts}) == 1
    twins = [arm for arm in arms if arm.labels["second"] == "other batches"]
    assert [(arm.spec.net.seed, arm.seeds) for arm in twins] == [(0, (3,)), (1, (4,)), (2, (5,))]
    shared = {arm.seeds for arm in arms if arm.labels["second"] == "other classifier"}
    assert shared == {(0,), (1,), (2,)}


def test_it_runs(tmp_path, monkeypatch):
    asked = WhoDecides(seeds=2, width=0.05, num_examples=120, num_epochs=1)
    monkeypatch.setattr(
        "surplus.studies.questions.who_decides.CIFAR10",
        lambda subset: MNIST10k(subset=subset),
    )
    outcome = study(asked, out=tmp_path, context=running.context(tmp_path))
    found = outcome.found
    assert len(outcome.evidence) == len(asked.claims())
    likeness = asked.tables(found)["likeness"]
    start = likeness[~likeness["trained"] & (likeness["layer"] == "conv1")]
    in_place = start[start["quantity"] == "cosine_in_place"].iloc[0]
    assert in_place["other classifier"] == pytest.approx(1)
    assert abs(in_place["all other"]) < 0.9
    assert list(asked.figures(found)) == ["likeness"]
