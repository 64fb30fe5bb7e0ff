import dataclasses

import pytest
import torch

from asking import asked, dense, notes, of_layer, randn, seen_of
from oracles.geometry import principal_angles
from surplus.base import InvalidArgument
from surplus.masks import Mask
from surplus.measures import SubspaceAngles, findings


def spanned(axes, units=8, fan_in=10, seed=0):
    """Random rows in the span of some axes."""
    return randn(units, len(axes), seed=seed) @ torch.eye(fan_in, dtype=torch.float64)[axes]


def seen(measure, W, start=None, other=None, **more):
    out = randn(2, len(W))
    initial = {"0.weight": W if start is None else start, "2.weight": out}
    second = None if other is None else seen_of(measure, dense(other, out))
    return seen_of(measure, dense(W, out), initial=initial, other=second, **more)


def test_it_is_that_of_loops():
    measure = SubspaceAngles(rank=3)
    W, start = randn(9, 7), randn(9, 7, seed=1)
    spans = [torch.linalg.eigh(each.T @ each).eigenvectors[:, -3:] for each in (W, start)]
    expected = principal_angles(*spans)
    found = asked(measure, seen(measure, W, start))
    angles = [found["angle_from_start_degrees", "0", None, None, at] for at in (1.0, 2.0, 3.0)]
    assert angles == pytest.approx(expected, abs=1e-4)
    for which, value in (("mean", sum(expected) / 3), ("least", expected[0])):
        quantity = f"{which}_angle_from_start_degrees"
        assert found[quantity, "0", None, None, None] == pytest.approx(value, abs=1e-4)


def test_equal_and_orthogonal_subspaces():
    W, same, other = spanned([0, 1, 2]), spanned([0, 1, 2], seed=5), spanned([6, 7, 8])
    measure = SubspaceAngles()
    found = of_layer(measure, seen(measure, W, start=same, other=other))
    assert found["subspace_rank"] == 3
    assert found["greatest_angle_from_start_degrees"] == pytest.approx(0, abs=1e-6)
    assert found["least_angle_between_runs_degrees"] == pytest.approx(90)
    half = of_layer(measure, seen(measure, W, other=spanned([2, 3, 4])))
    assert half["least_angle_between_runs_degrees"] == pytest.approx(0, abs=1e-6)
    assert half["mean_angle_between_runs_degrees"] == pytest.approx(60)


def test_two_runs_of_the_same_weights_are_at_no_angle():
    W = randn(20, 30)
    measure = SubspaceAngles()
    found = of_layer(measure, seen(measure, W, other=W.clone()))
    assert found["greatest_angle_between_runs_degrees"] < 1e-6


def test_layers_that_read_as_many_inputs_are_compared():
    measure = SubspaceAngles(rank=2)
    model = dense(spanned([0, 1]), spanned([0, 1], 8, 8), spanned([6, 7], 8, 8), randn(3, 8))
    found = asked(measure, seen_of(measure, model))
    pairs = {key[1:3] for key in found if key[0] == "mean_angle_between_layers_degrees"}
    assert pairs == {("2", "4"), ("2", "6"), ("4", "6")}
    assert found["least_angle_between_layers_degrees", "2", "4", None, None] == pytest.approx(90)


def test_random_weights_are_as_far_apart_as_random_subspaces():
    measure = SubspaceAngles(rank=5)
    look = seen(measure, randn(40, 60), start=randn(40, 60, seed=1), seed=3)
    found = of_layer(measure, look)
    for which in ("mean", "greatest"):
        start, random = (
            found[f"{which}_{angle}_degrees"] for angle in ("angle_from_start", "random_angle")
        )
        assert start == pytest.approx(random, abs=6)
    random = next(f for _, f in findings(look, (measure,)) if "mean_random" in f.quantity)
    assert random.lower < random.value < random.upper
    assert (random.n, random.seed) == (20, 3)


def test_what_cannot_be_compared_is_named():
    measure = SubspaceAngles(rank=4)
    model = dense(randn(9, 4), randn(5, 9), 0 * randn(3, 5))
    reasons = [
        (each.layer, each.note)
        for _, each in findings(seen_of(measure, model), (measure,))
        if each.quantity == "untreated"
    ]
    whole = "its units have 4 inputs and lead in all these directions: choose a `rank` below that"
    assert ("0", whole) in reasons
    assert (
        "2",
        "it compares with initialisation, which is not known: pass `initial=`, or `--initial`",
    ) in reasons
    assert ("4", "none of its units has weights other than zero") in reasons
    narrow = seen(measure, randn(9, 8), other=randn(9, 6))
    assert notes(measure, narrow)["0"] == "its units have 8 inputs, and 6 in the other network"
    other = seen_of(measure, dense(randn(9, 6), randn(2, 9)), layers=["2"])
    look = dataclasses.replace(seen(measure, randn(9, 8)), other=other)
    assert notes(measure, look)["0"] == "the other network has no such layer"


def test_removed_units_span_nothing():
    W = torch.cat([spanned([0, 1]), spanned([2, 3])])
    mask = Mask({"0": torch.arange(16) < 8}, "units")
    measure = SubspaceAngles()
    found = of_layer(measure, seen(measure, W, start=spanned([0, 1], 16, seed=3), mask=mask))
    assert found["subspace_rank"] == 2
    assert found["greatest_angle_from_start_degrees"] == pytest.approx(0, abs=1e-6)


@pytest.mark.message
def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(InvalidArgument, match="`rank` is 0; it must be at least 1"):
        SubspaceAngles(rank=0)
    with pytest.raises(InvalidArgument, match="`num_draws` is 1; an interval needs at least 2"):
        SubspaceAngles(num_draws=1)
