"""Training geometry: the grid, and the claims on planted findings."""

import pandas
import pytest

import running
from surplus.studies import Found
from surplus.studies.conduct import study
from surplus.studies.questions import TrainingGeometry
from surplus.tasks import MNIST10k

OPTIMIZERS = ("SGD, batch 32", "SGD, batch 256", "full batch", "Adam, batch 64", "AdamW, batch 64")
STEPS = (0, 500, 2000)


def numbers(layer, step, place, shake, effect):
    """Return what is found of one layer of one network; `place` is that of its optimiser among all."""
    done, depth = STEPS.index(step), int(layer[2:]) - 1
    aligned = 0.6 + (0.05 * depth + 0.1 * done * (1 - 0.15 * place)) * (1 if effect else -1)
    return {
        "share_trained": (0.3 if effect else 0.8) + shake,
        "untrained_cosine_with_start": (0.97 if effect else 0.5) + shake,
        "trained_largest_component_share": (0.9 if effect else 0.1) + shake,
        "trained_initial_closeness": (0.1 if effect else 0.3) + shake,
        "untrained_initial_closeness": 0.1,
        "trained_final_closeness": (0.6 if effect else 0.3) + shake / 2,
        "untrained_final_closeness": 0.1,
        "place_between_bounds": aligned + shake,
        "within_to_between_variance": 10 ** ((-depth - done) * (0.3 if effect else 0.05) + shake),
    }


def planted(effect, perfect=500):
    rows = []
    for place, optimizer in enumerate(OPTIMIZERS):
        for replica in range(5):
            shake = 0.001 * ((replica * 2 + place) % 5 - 2)
            front = {"net": "mlp", "optimizer": optimizer, "labels": "true"}
            front |= {"replica": replica, "run": "r", "at": None, "unit": None}
            for step in STEPS:
                whole = {"train_accuracy": 1.0 if step >= perfect else 0.9, "test_accuracy": 0.9}
                whole["accuracy_gap"] = 0.1 + 0.05 * place + 0.02 * ((replica * 3 + place) % 5)
                for quantity, value in whole.items():
                    rows.append(
                        {**front, "step": step, "layer": None, "quantity": quantity, "value": value}
                    )
                for layer in ("fc1", "fc2", "fc3", "fc4"):
                    for quantity, value in numbers(layer, step, place, shake, effect).items():
                        rows.append(
                            {
                                **front,
                                "step": step,
                                "layer": layer,
                                "quantity": quantity,
                                "value": value,
                            }
                        )
    for replica in range(5):
        front = {
            "net": "vgg-11",
            "optimizer": "Adam, batch 64",
            "labels": "true",
            "replica": replica,
        }
        for step in (0, 700):
            for layer in ("conv1", "conv2", "conv10"):
                for unit in range(20):
                    near = effect and step and layer == "conv10" and unit < 15 + replica % 2
                    row = {
                        "quantity": "nearest_cosine",
                        "value": 0.95 if near else 0.2,
                        "unit": unit,
                    }
                    rows.append(
                        {**front, "run": "r", "at": None, "step": step, "layer": layer, **row}
                    )
    frame = pandas.DataFrame(rows)
    random = frame[frame["net"] == "mlp"].assign(
        labels="random", value=lambda each: 0.5 * each["value"]
    )
    return Found({"measuring/findings": pandas.concat([frame, random])}, "default")


def verdicts(found):
    evidence = TrainingGeometry().evidence(found)
    return {claim.name: each.verdict for claim, each in evidence.items()}


def test_with_every_effect_all_claims_hold():
    assert set(verdicts(planted(effect=True)).values()) == {"holds"}


def test_without_the_effects_all_claims_fail():
    assert set(verdicts(planted(effect=False)).values()) == {"fails"}


@pytest.mark.parametrize("perfect", [2000, 3000])
def test_runs_that_never_fit_before_the_end_leave_the_claim_undecided(perfect):
    found = verdicts(planted(effect=True, perfect=perfect))
    assert found["both-go-on"] == "undecided"
    assert set(found.values()) == {"holds", "undecided"}


def test_without_the_deep_network_its_claim_is_undecided():
    evidence = TrainingGeometry(num_vgg=0).evidence(planted(effect=True))
    named = {claim.name: each for claim, each in evidence.items()}
    assert "left out" in named["deep-layers-cluster"].reason


def test_the_grid():
    arms = list(TrainingGeometry().arms())
    assert len(arms) == 7
    assert {arm.labels["labels"] for arm in arms} == {"true", "random"}
    steps = {arm.labels["optimizer"]: [each.at for each in arm.methods] for arm in arms[:6]}
    assert steps["SGD, batch 32"] == [0, 20, 100, 500, 2000]
    assert steps["full batch"] == [0, 20, 100, 500]
    assert [each.at for each in arms[6].methods] == [0, 744]
    assert len(list(TrainingGeometry.at_scale("smoke").arms())) == 6
    assert len(list(TrainingGeometry.at_scale("full").arms())) == 7


def test_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("surplus.studies.questions.training_geometry.MNIST", MNIST10k)
    tiny = TrainingGeometry(seeds=2, width=12, num_images=100, num_steps=8, steps=(2,), num_vgg=0)
    outcome = study(tiny, context=running.context(tmp_path))
    assert len(outcome.evidence) == 10
    end = tiny.tables(outcome.found)["end"]
    assert set(end["optimizer"]) == set(OPTIMIZERS)
    assert end["share_trained"].dropna().between(0, 1).all()
    assert set(tiny.figures(outcome.found)) == {"fc1", "fc2", "fc3", "closeness"}
