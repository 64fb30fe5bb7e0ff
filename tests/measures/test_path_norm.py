import math

import pytest
import torch
from torch import nn

from asking import dense, notes, of_layer, randn, seen_of
from oracles.geometry import paths
from surplus.measures import PathNorm, findings

MEASURE = PathNorm()


def test_it_is_that_of_loops():
    weights = [randn(4, 3), randn(5, 4, seed=1), randn(2, 5, seed=2)]
    found = of_layer(MEASURE, seen_of(MEASURE, dense(*weights)), None)
    layers = [(W, None) for W in weights]
    assert found == pytest.approx(
        {
            "log10_path_2_norm": math.log10(math.sqrt(paths(layers, 2))),
            "log10_path_1_norm": math.log10(paths(layers, 1)),
        }
    )


def test_other_networks_are_named():
    model = nn.Sequential(nn.Linear(3, 3), nn.GELU(), nn.Linear(3, 2))
    found = notes(MEASURE, seen_of(MEASURE, model))
    assert found == {None: "`gelu` is no operator through which products of weights lead"}


def test_without_paths_and_beyond_numbers_there_is_no_logarithm():
    for scale, note in ((0.0, "no path leads through"), (1e200, "it is beyond float64")):
        W = scale * torch.eye(3, dtype=torch.float64)
        found = [f for _, f in findings(seen_of(MEASURE, dense(W, W)), (MEASURE,))]
        assert {(f.value, f.note) for f in found} == {(None, note)}
