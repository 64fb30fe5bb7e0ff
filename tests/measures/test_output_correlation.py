"""Correlations of outputs, against loops and planted pairs."""

import pytest
import torch
from torch import nn

from measuring import found_by, numbers_of
from oracles.correlation import pearson
from planted import batches, shaken
from surplus.measures import OutputCorrelation
from surplus.nets import Conv2


def test_is_what_loops_give(mlp):
    data = batches(30, (6,), 3)
    rows = torch.cat([mlp[:2](inputs) for inputs, _ in data]).detach()
    columns = [column.tolist() for column in rows.T]
    pairs = [pearson(columns[i], columns[j]) for i in range(8) for j in range(i)]
    nearest = [
        max(abs(pearson(columns[i], columns[j])) for j in range(8) if j != i) for i in range(8)
    ]
    found = numbers_of(found_by(OutputCorrelation(), mlp, data), "0")
    assert found["mean_correlation"] == pytest.approx(sum(pairs) / 28)
    assert found["mean_absolute_correlation"] == pytest.approx(sum(map(abs, pairs)) / 28)
    assert found["mean_nearest_correlation"] == pytest.approx(sum(nearest) / 8)
    ordered = sorted(pairs)
    assert found["correlation_quantile", 0.5] == pytest.approx((ordered[13] + ordered[14]) / 2)


def test_names_the_nearest_partner(mlp):
    with torch.no_grad():
        mlp[0].weight[5], mlp[0].bias[5] = -mlp[0].weight[2], -mlp[0].bias[2]
        mlp[0].weight[7], mlp[0].bias[7] = 2 * mlp[0].weight[1], 2 * mlp[0].bias[1]
    found = found_by(OutputCorrelation(partners=True), mlp, batches(30, (6,), 3))
    notes = {
        each.unit: (each.value, each.note)
        for each in found
        if each.quantity == "nearest_correlation" and each.layer == "0"
    }
    assert notes[7] == (pytest.approx(1.0), "with unit 1")
    assert notes[1] == (pytest.approx(1.0), "with unit 7")
    assert len(notes) == 8


def test_leaves_out_what_never_changes(mlp):
    with torch.no_grad():
        mlp[0].bias[3] = -100.0
    found = numbers_of(found_by(OutputCorrelation(), mlp, batches(30, (6,), 3)), "0")
    assert found["num_constant"] == 1
    with torch.no_grad():
        mlp[0].bias[:] = -100.0
    found = found_by(OutputCorrelation(), mlp, batches(30, (6,), 3))
    assert ["fewer than two" in (each.note or "") for each in found if each.layer == "0"] == [True]


def test_positions_are_rows_of_a_convolution():
    model = shaken(Conv2(width=0.05).build((1, 8, 8), 3, seed=0))
    data = batches(4, (1, 8, 8), 3)
    rows = torch.cat([torch.relu(model.conv1(inputs)) for inputs, _ in data]).detach()
    columns = [column.tolist() for column in rows.transpose(0, 1).flatten(1)]
    pairs = [
        pearson(columns[i], columns[j])
        for i in range(len(columns))
        for j in range(i)
        if len(set(columns[i])) > 1 and len(set(columns[j])) > 1
    ]
    found = found_by(OutputCorrelation(), model, data, positions=None)
    (mean,) = [each for each in found if each.quantity == "mean_correlation"][:1]
    assert mean.value == pytest.approx(sum(pairs) / len(pairs))
    assert mean.n == 8


def test_smooth_units_are_treated_alike():
    model = nn.Sequential(nn.Linear(6, 4), nn.GELU(), nn.Linear(4, 3)).double()
    found = numbers_of(found_by(OutputCorrelation(), model, batches(20, (6,), 3)), "0")
    assert -1 <= found["mean_correlation"] <= 1
