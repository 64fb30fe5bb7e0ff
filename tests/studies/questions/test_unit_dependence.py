"""Unit dependence: the grid, and the claims on planted numbers."""

import dataclasses

import pandas
import pytest

import running
from surplus.methods import Dependence
from surplus.studies import Found
from surplus.studies.conduct import study
from surplus.studies.questions import UnitDependence
from surplus.tasks import MNIST10k

WIDTHS = (0.125, 0.25, 0.5, 1.0, 2.0)
RANKS = {
    "rank_norm": 1,
    "rank_frame_potential": -1,
    "rank_output_correlation": -1,
    "rank_shapley": 1,
}
LIKENESSES = ("rank_incoming_cosine", "rank_outgoing_cosine", "rank_output_correlation")


def planted(slope, gini, share, rank, pairs):
    """Return what the study would find if numbers followed these laws, up to small noise."""
    singles, together = [], []
    layers = [("lenet-300-100", width, layer) for width in WIDTHS for layer in ("fc1", "fc2")]
    for net, width, layer in [*layers, ("conv-2", 0.25, "conv2")]:
        for replica in range(5):
            shake = 1 + 0.01 * ((replica * 7 + int(8 * width)) % 5 - 2)
            front = {"net": net, "width": width, "replica": replica, "run": "r", "layer": layer}
            units = int(300 * width)
            singles.append(
                {
                    **front,
                    "num_units": units,
                    "num_examples": 2000,
                    "whole": 2.0,
                    "sum": 2.0 * share * shake,
                    "largest": 3 * units**slope * shake,
                    "mean": units**slope * shake,
                    "gini": 0.5 + gini * width * shake,
                    "shapley_gini": 0.4 + gini * width * shake,
                    **{name: sign * rank * shake for name, sign in RANKS.items()},
                }
            )
            together.append(
                {
                    **front,
                    "num_pairs": units * (units - 1) // 2,
                    "whole": 2.0,
                    "sum": 2.0 * pairs * shake,
                    "mean": 1e-6,
                    "share_super_additive": 0.5,
                    **{name: rank * shake for name in LIKENESSES},
                }
            )
    frames = {"distribution": singles, "interactions": together}
    return Found(
        {f"dependence/{name}": pandas.DataFrame(rows) for name, rows in frames.items()}, "default"
    )


def verdicts(found):
    evidence = UnitDependence().evidence(found)
    return {claim.name: each.verdict for claim, each in evidence.items()}


def test_with_every_effect_all_claims_hold():
    found = planted(slope=-1.0, gini=-0.1, share=0.2, rank=0.7, pairs=0.1)
    assert set(verdicts(found).values()) == {"holds"}
    assert len(verdicts(found)) == 13


def test_without_any_effect_all_claims_fail():
    found = planted(slope=0.0, gini=0.1, share=1.0, rank=0.0, pairs=-0.1)
    assert set(verdicts(found).values()) == {"fails"}


def test_a_rank_correlation_of_a_third_does_not_stand_for_the_shapley_value():
    found = verdicts(planted(slope=-1.0, gini=-0.1, share=0.2, rank=0.33, pairs=0.1))
    assert found.pop("alone-tells-worth") == "fails"
    assert set(found.values()) == {"holds"}


def test_a_layer_whose_mean_change_is_no_rise_has_no_slope():
    found = planted(slope=-1.0, gini=-0.1, share=0.2, rank=0.7, pairs=0.1)
    frame = found["dependence/distribution"]
    frame.loc[0, "mean"] = -1e-6
    changed = Found(
        {
            "dependence/distribution": frame,
            "dependence/interactions": found["dependence/interactions"],
        },
        "default",
    )
    assert verdicts(changed)["the-mean-falls"] == "undecided"


def test_the_table_has_a_row_for_each_layer_and_width():
    table = UnitDependence().tables(planted(-1.0, -0.1, 0.2, 0.7, 0.1))["by-width"]
    assert len(table) == 2 * 5 + 1
    assert table["sum_share"].between(0.09, 0.11).all()
    assert table["rank_output_correlation"].between(-0.8, -0.6).all()
    assert table["rank_output_correlation_of_pairs"].between(0.6, 0.8).all()


@pytest.mark.parametrize(("scale", "num_arms"), [("default", 6), ("smoke", 3), ("full", 7)])
def test_the_grid(scale, num_arms):
    arms = list(UnitDependence.at_scale(scale).arms())
    assert len(arms) == num_arms == len({arm.spec for arm in arms})
    assert {arm.labels["net"] for arm in arms} == {"lenet-300-100", "conv-2"}


def test_it_runs(tmp_path, monkeypatch):
    def small(name):
        from surplus.training import recipe

        return dataclasses.replace(recipe(name), task=MNIST10k())

    monkeypatch.setattr("surplus.studies.questions.unit_dependence.recipe", small)
    monkeypatch.setattr(
        "surplus.studies.questions.unit_dependence.Dependence",
        lambda layers: Dependence(layers=layers, num_examples=100, num_draws=2),
    )
    tiny = UnitDependence(
        seeds=2, widths=(0.04, 0.08), num_epochs=1, conv_width=0.04, num_conv_steps=2
    )
    outcome = study(tiny, context=running.context(tmp_path))
    assert len(outcome.evidence) == 13
    table = tiny.tables(outcome.found)["by-width"]
    assert table["num_units"].tolist() == [12, 4, 24, 8, 3]
    figures = tiny.figures(outcome.found)
    assert set(figures) == {"changes", "inequality", "concentration", "cosines"}
