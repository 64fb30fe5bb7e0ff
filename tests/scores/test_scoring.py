import json

import pytest
import torch
from torch import nn

from planted import batches
from surplus.base import InvalidArgument, UnknownName
from surplus.masks import Mask, Scores, enforce
from surplus.passes import Removals
from surplus.scores import (
    ActivationFrequency,
    FramePotential,
    Layer,
    Magnitude,
    MeanActivation,
    order_of_removal,
    score,
)
from surplus.units import find_units


def test_layers_are_chosen_by_name(mlp, example):
    units = find_units(mlp, example)
    assert list(score(mlp, units, Magnitude(), layers=("2",)).values) == ["2"]
    with pytest.raises(UnknownName, match="There is no layer called `fc1`"):
        score(mlp, units, Magnitude(), layers=("fc1",))
    with pytest.raises(InvalidArgument, match="cannot be removed: they are the outputs"):
        score(mlp, units, Magnitude(), layers=("4",))


def test_a_criterion_that_needs_data_says_so(mlp, example):
    with pytest.raises(InvalidArgument, match="needs data: pass `data=`"):
        score(mlp, find_units(mlp, example), MeanActivation())


def test_data_that_are_no_pairs_are_refused(mlp, example):
    with pytest.raises(InvalidArgument, match=r"must yield \(inputs, targets\) pairs"):
        score(mlp, find_units(mlp, example), MeanActivation(), data=[example])


def test_only_units_that_are_there_count(mlp, example):
    units = find_units(mlp, example)
    among = Mask.full(units)
    among.kept["0"][3] = False
    alone = score(mlp, units, FramePotential(), among=among).values["0"]
    everyone = score(mlp, units, FramePotential()).values["0"]
    assert (alone[:3] <= everyone[:3]).all() and not torch.equal(alone, everyone)


def test_nan_weights_are_named(mlp, example):
    with torch.no_grad():
        mlp[0].weight[2, 1] = float("nan")
    with pytest.raises(
        InvalidArgument, match=r"Magnitude\(power=2\) gave NaN for 1 of 8 elements of `0`"
    ):
        score(mlp, find_units(mlp, example), Magnitude(), data=batches(3, (6,), 3))


def test_an_order_by_nan_is_refused_and_infinite_scores_are_ranked(mlp, example):
    units = find_units(mlp, example)
    whole = torch.ones(8, dtype=torch.bool)
    with torch.no_grad():
        mlp[0].weight[2, 1] = float("inf")
    order = order_of_removal(Magnitude(), Layer(mlp, units, "0", whole))
    assert sorted(order) == list(range(8)) and order[-1] == 2
    with torch.no_grad():
        mlp[0].weight[2, 1] = float("nan")
    with pytest.raises(InvalidArgument, match="gave NaN for 1 of 8 elements of `0`"):
        order_of_removal(Magnitude(), Layer(mlp, units, "0", whole))


def test_half_precision_weights_do_not_overflow():
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).half()
    with torch.no_grad():
        net[0].weight.fill_(60_000)
    found = score(net, find_units(net, torch.zeros(1, 4).half()), Magnitude())
    assert found.values["0"].tolist() == [120_000.0] * 3


def test_a_model_of_another_shape_is_refused(mlp, example):
    units = find_units(mlp, example)
    other = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3)).double()
    with pytest.raises(InvalidArgument, match=r"found on another model: there, `.*` has shape"):
        score(other, units, Magnitude())
    with pytest.raises(InvalidArgument, match="found on another model"):
        enforce(other, Mask.full(units))


def test_scores_survive_json():
    scores = Scores({"a": torch.tensor([1.5, float("inf"), -2.0])}, "units", None, "own")
    again = Scores.from_json(json.loads(json.dumps(scores.to_json())))
    assert again.values["a"].tolist() == [1.5, float("inf"), -2.0]
    assert (again.over, again.by) == ("units", "own")
    with pytest.raises(InvalidArgument, match="not the JSON form of scores"):
        Scores.from_json({"over": "units"})


def test_the_activation_is_seen_behind_a_flatten():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.ReLU(), nn.Linear(16, 3)).double()
    data = batches(5, (1, 4, 4), 3)
    found = score(net, find_units(net, data[0][0]), ActivationFrequency(), data).values["0"]
    maps = torch.cat([net[0](inputs) for inputs, _ in data])
    assert torch.allclose(found, (maps > 0).double().mean((0, 2, 3)))


def test_layers_that_work_in_place_leave_the_data_as_they_are(mlp):
    net = nn.Sequential(nn.Hardtanh(inplace=True), *mlp)
    data = [(4 * inputs, targets) for inputs, targets in batches(5, (6,), 3)]
    before = [inputs.clone() for inputs, _ in data]
    units = find_units(net, data[0][0])
    score(net, units, MeanActivation(), data)
    Removals(net, units, "1", data).singles()
    assert all(torch.equal(a, b) for (a, _), b in zip(data, before, strict=True))


def test_settings_out_of_range_are_refused():
    with pytest.raises(InvalidArgument, match="`power` is 3; it must be 1 or 2"):
        Magnitude(power=3)
