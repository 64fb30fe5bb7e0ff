"""Capacity: the grid, and the claims on planted norms."""

import pandas
import pytest

import running
from surplus.studies import Found
from surplus.studies.conduct import study
from surplus.studies.questions import Capacity
from surplus.tasks import MNIST10k

DIRECTIONS = {
    "distance": -0.2,
    "mean_unit_capacity": -0.6,
    "mean_unit_impact": -0.4,
}


def numbers(width, labels, noise, shake, effect):
    """Return what one network's measures say, with every effect or with its opposite."""
    sign = 1 if effect else -1
    powers = {
        name: (2 if labels == "random" and effect else 1) * width ** (sign * power) * shake
        for name, power in DIRECTIONS.items()
    }
    random = 0.3 * (labels == "random") * sign
    error = 0.1 * width ** (-0.3 * sign) + 0.5 * noise * sign
    return {
        **powers,
        "log10_two_layer_bound": 3 - sign * 0.001 * width * shake,
        "log10_spectral_complexity_over_margin": 1 + sign * 0.001 * width * shake,
        "log10_product_of_spectral_norms": (1 + random) * shake,
        "log10_product_of_frobenius_norms": 1.0,
        "log10_path_2_norm": (1 + random) * shake,
        "log10_path_1_norm": 1.0,
        "train_accuracy": 0.2 if labels == "random" and not effect else 1.0 - 0.1 * (width < 10),
        "test_accuracy": min(1.0, 1 - error * shake),
        "accuracy_gap": error,
    }


def planted(effect, scale="default"):
    rows = []
    cells = [
        ("width", labels, width, 0.0)
        for labels in ("true", "random")
        for width in (8, 32, 128, 512)
    ]
    cells += [("noise", "true", 512, noise) for noise in (0.0, 0.25, 0.5, 0.75)]
    cells += [("dilution", "true", 512, noise) for noise in (0.0, 0.1)]
    for experiment, labels, width, noise in cells:
        for replica in range(5):
            shake = 1 + 0.001 * ((replica * 7 + width) % 5 - 2)
            front = {"experiment": experiment, "labels": labels, "width": width, "images": 2000}
            front |= {"noise": noise, "alpha": None, "replica": replica, "run": "r"}
            for name, value in numbers(width, labels, noise, shake, effect).items():
                layer = "fc1" if name in DIRECTIONS else None
                rows.append({**front, "quantity": name, "layer": layer, "value": value})
                if name == "distance":  # of the other layer, and of all
                    rows += [
                        {**front, "quantity": name, "layer": other, "value": 1e6}
                        for other in ("fc2", None)
                    ]
    return Found({"measuring/findings": pandas.DataFrame(rows)}, scale)


def verdicts(found):
    evidence = Capacity().evidence(found)
    return {claim.name: each.verdict for claim, each in evidence.items()}


def test_with_every_effect_all_claims_hold():
    found = verdicts(planted(effect=True))
    assert found.pop("dilution-is-borne") == "undecided"  # which takes more clean images
    assert set(found.values()) == {"holds"}
    assert verdicts(planted(effect=True, scale="full"))["dilution-is-borne"] == "holds"


def test_with_the_opposite_of_every_effect_all_claims_fail():
    found = verdicts(planted(effect=False, scale="full"))
    found.pop("dilution-is-borne")
    assert set(found.values()) == {"fails"}


def test_widths_that_do_not_fit_are_not_compared():
    found = planted(effect=True)
    frame = found["measuring/findings"]
    frame.loc[(frame["quantity"] == "train_accuracy") & (frame["width"] < 512), "value"] = 0.9
    few = Capacity().evidence(Found({"measuring/findings": frame}, "default"))
    assert {
        claim.name for claim, each in few.items() if each.reason == "fewer than two widths fit"
    } == {
        "width-helps",
        "the-bound-falls",
    }


def test_the_order_of_a_norm_that_falls_with_the_error():
    order = Capacity().tables(planted(effect=True))["order"].set_index("quantity")
    assert float(order.loc["mean unit capacity"].iloc[0]) == pytest.approx(1, abs=0.5)
    assert float(order.loc["spectral complexity over margin, log10"].iloc[0]) < -0.5


def test_the_grid():
    arms = list(Capacity().arms())
    assert len(arms) == 8 + 4 + 3
    # Noise and dilution begin at the widest network with true labels.
    assert len({arm.spec for arm in arms}) == 8 + 3 + 2
    diluted = [arm for arm in arms if arm.labels["experiment"] == "dilution"]
    assert [len(arm.spec.task.subset) for arm in diluted] == [2000, 10_000, 20_000]
    assert [arm.labels["noise"] for arm in diluted] == pytest.approx([0, 0.72, 0.81])


def test_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("surplus.studies.questions.capacity.MNIST", MNIST10k)
    tiny = Capacity(
        seeds=2,
        widths=(4, 8),
        noises=(0.5,),
        alphas=(0, 1),
        num_images=200,
        num_clean=100,
        num_steps=5,
    )
    outcome = study(tiny, context=running.context(tmp_path))
    assert len(outcome.evidence) == 8
    means = tiny.tables(outcome.found)["means"]
    assert (means["distance from initialisation"] > 0).all()
    assert (means["mean unit capacity"] <= means["distance from initialisation"]).all()
    assert set(tiny.figures(outcome.found)) == {"errors", "norms", "noise"}
