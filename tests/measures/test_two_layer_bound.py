import dataclasses
import math

import pytest
import torch
from torch import nn

from asking import dense, notes, of_layer, randn, seen_of
from oracles.geometry import dot, length
from surplus.base import InvalidArgument
from surplus.measures import TwoLayerBound

MEASURE = TwoLayerBound()


def seen(U, V, U0, n=50, model=None):
    model = model or dense(U, V)
    inputs = randn(n, U.shape[1], seed=8)
    data = [(part, model(part).argmax(1)) for part in inputs.split(20)]
    initial = {"0.weight": U0, "2.weight": V}
    return seen_of(MEASURE, model, initial=initial, data=data), inputs


def test_it_is_that_of_the_page():
    U, V, U0 = randn(5, 4), randn(3, 5, seed=1), randn(5, 4, seed=2)
    look, inputs = seen(U, V, U0)
    hidden = 0.0
    for x in inputs.tolist():
        hidden += sum(max(dot(u, x), 0) ** 2 for u in U0.tolist()) / 50
    squares = sum(dot(x, x) for x in inputs.tolist()) / 50
    moved = length((U - U0).flatten().tolist())
    outputs = dense(U, V)(inputs).detach().sort(1).values
    margin = float((outputs[:, -1] - outputs[:, -2]).quantile(0.05))
    R = 3 * math.sqrt(2) * (math.sqrt(6) + 1) * (length(V.flatten().tolist()) + 1)
    R *= (math.sqrt(hidden) + moved * math.sqrt(squares) + 1) / margin
    squared = (R + 3 * math.sqrt(25 + math.log(max(1, margin * math.sqrt(50)) / 0.01))) ** 2
    found = of_layer(MEASURE, look, None)
    assert found == pytest.approx(
        {
            "margin": margin,
            "log10_two_layer_complexity": math.log10(R),
            "log10_two_layer_bound": math.log10(math.sqrt(squared / 50)),
        }
    )


def test_moving_farther_promises_less():
    U, V = randn(5, 4), randn(3, 5, seed=1)
    near, far = (
        of_layer(MEASURE, seen(U, V, U + distance * randn(5, 4, seed=3))[0], None)
        for distance in (0.1, 10)
    )
    assert near["log10_two_layer_bound"] < far["log10_two_layer_bound"]


def test_other_networks_are_named():
    U, V = randn(4, 4), randn(3, 4, seed=1)
    deep, _ = seen(U, V, U, model=dense(U, U, V))
    reason = "it is no chain of a dense layer, a rectifier and a dense layer"
    assert notes(MEASURE, deep) == {None: reason}
    look, inputs = seen(U, V, U)
    wrong = [(inputs, dense(U, V)(inputs).argmin(1))]
    lost = seen_of(MEASURE, dense(U, V), initial=look.initial, data=wrong)
    assert notes(MEASURE, lost) == {None: "the margin is not positive, and the bound divides by it"}
    values = seen_of(MEASURE, dense(U, V), initial=look.initial, data=[(inputs, inputs)])
    assert notes(MEASURE, values) == {None: "the targets are not class labels"}


def test_images_are_read_as_rows():
    U, V, U0 = randn(5, 4), randn(3, 5, seed=1), randn(5, 4, seed=2)
    look, inputs = seen(U, V, U0)
    flat = of_layer(MEASURE, look, None)
    model = nn.Sequential(nn.Flatten(), *dense(U, V))
    initial = {"1.weight": U0, "3.weight": V}
    data = [(inputs.view(-1, 1, 2, 2), model(inputs.view(-1, 1, 2, 2)).argmax(1))]
    images = seen_of(MEASURE, model, (1, 2, 2), initial=initial, data=data)
    assert of_layer(MEASURE, images, None) == pytest.approx(flat)


def test_a_weight_that_is_computed_is_named():
    U, V = randn(5, 4), randn(3, 5, seed=1)
    model = dense(U, V)
    torch.nn.utils.prune.identity(model[0], "weight")
    inputs = randn(9, 4)
    data = [(inputs, model(inputs).argmax(1))]
    initial = dict(model.state_dict())
    look = seen_of(MEASURE, dense(U, V), initial=initial, data=data)
    look = dataclasses.replace(look, model=model)
    assert notes(MEASURE, look) == {None: "its first weight is computed from other tensors"}


@pytest.mark.message
def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(InvalidArgument, match=r"`percentile` is -1; it must lie in \[0, 100\]"):
        TwoLayerBound(percentile=-1)
    with pytest.raises(InvalidArgument, match=r"`delta` is 1; it must lie in \(0, 1\)"):
        TwoLayerBound(delta=1)
