"""Removable and repeated units: the grid, and the claims on planted counts."""

import pandas
import pytest

import running
from surplus.studies import Found
from surplus.studies.conduct import study
from surplus.studies.questions import RemovableRepeated
from surplus.tasks import MNIST10k

TASKS = ("10 inputs, a linear map", "10 inputs, 32 units", "mnist")
NAMES = {
    "pca_width": 0.95,
    "num_prunable": None,
    "num_units": None,
    "test_accuracy": None,
    "prunability": None,
    "fine_prunability": None,
}


def planted(removable, effective, accuracy=lambda width: 0.9, before=lambda width: width, fine=0.9):
    """Return what the study would find if counts followed these functions of width and scale, up to small noise."""
    rows = []
    for task in TASKS:
        for labels, scale in (("true", 1.0), ("random", 1.0), ("true", 0.1), ("true", 10.0)):
            for width in (16, 64, 256, 1024):
                for replica in range(5):
                    shake = 1 + 0.0005 * ((replica * 7 + width) % 5 - 2)
                    front = {"task": task, "labels": labels, "scale": scale, "net": "mlp"}
                    front |= {"width": width, "replica": replica, "run": "r"}
                    values = {
                        "pca_width": effective(width, scale) * shake,
                        "num_prunable": removable(width, scale) * shake,
                        "num_units": width,
                        "test_accuracy": accuracy(width),
                        "prunability": 0.8 * shake,
                        "fine_prunability": fine * shake,
                    }
                    for quantity, value in values.items():
                        layer = None if quantity == "test_accuracy" else "fc1"
                        where = {"layer": layer, "at": NAMES[quantity], "step": 100}
                        rows.append({**front, "quantity": quantity, "value": value, **where})
                    for quantity, value in (("pca_width", before(width)), ("num_units", width)):
                        where = {"layer": "fc1", "at": NAMES[quantity], "step": 0}
                        rows.append({**front, "quantity": quantity, "value": value, **where})
    return Found({"measuring/findings": pandas.DataFrame(rows)}, "default")


def verdicts(found):
    evidence = RemovableRepeated().evidence(found)
    return {claim.name: each.verdict for claim, each in evidence.items()}


def test_with_every_effect_all_claims_hold():
    found = planted(
        removable=lambda width, scale: 0.6 * width if scale < 10 else 0.999 * width,
        effective=lambda width, scale: 10 if scale < 10 else 0.8 * width,
    )
    assert set(verdicts(found).values()) == {"holds"}


def test_without_any_effect_all_claims_fail():
    found = planted(
        removable=lambda width, scale: 0.1 * width**0.5,
        effective=lambda width, scale: width - 0.5 * width**0.5,
        accuracy=lambda width: 0.9 - width / 10_000,
        before=lambda width: width - width**0.5,
        fine=0.8,
    )
    assert set(verdicts(found).values()) == {"fails"}


def test_outputs_do_not_count_as_a_layer():
    found = planted(lambda width, scale: 0.6 * width, lambda width, scale: 10)
    frame = found["measuring/findings"]
    outputs = frame[frame["quantity"].isin(["pca_width", "num_units"])].assign(layer="fc2", value=1)
    both = Found({"measuring/findings": pandas.concat([frame, outputs])}, "default")
    one, other = (RemovableRepeated().tables(each)["counts"] for each in (found, both))
    pandas.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize(("scale", "num_arms"), [("default", 28), ("smoke", 12)])
def test_the_grid(scale, num_arms):
    arms = list(RemovableRepeated.at_scale(scale).arms())
    assert len(arms) == num_arms
    assert len({arm.spec for arm in arms}) == num_arms
    alexnet = [
        arm
        for arm in RemovableRepeated.at_scale("full").arms()
        if arm.spec.net.kind == "alexnet-small"
    ]
    assert len(alexnet) == 10


def test_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("surplus.studies.questions.removable_repeated.MNIST", MNIST10k)
    tiny = RemovableRepeated(
        seeds=2, widths=(4, 8), scales=(0.1, 1.0), num_epochs=1, longer=1, num_images=300
    )
    outcome = study(tiny, context=running.context(tmp_path))
    assert len(outcome.evidence) == 7
    counts = tiny.tables(outcome.found)["counts"]
    assert (counts["removable units"] <= counts["width"]).all()
    assert (counts["repeated units"] < counts["width"]).all()
    assert set(tiny.figures(outcome.found)) == {"counts", "initial-weights", "removal"}
