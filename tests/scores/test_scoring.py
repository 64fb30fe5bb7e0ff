import pytest
import torch

from planted import batches
from surplus.base import InvalidArgument, UnknownName
from surplus.masks import Mask
from surplus.scores import FramePotential, Magnitude, MeanActivation, score
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


def test_settings_out_of_range_are_refused():
    with pytest.raises(InvalidArgument, match="`power` is 3; it must be 1 or 2"):
        Magnitude(power=3)
