"""Linear dependence, against least squares unit by unit and planted sums."""

import numpy as np
import pytest
import torch
from torch import nn

from measuring import found_by, numbers_of, seen_with, units_of
from planted import batches, shaken
from surplus.measures import LinearDependence, findings
from surplus.measures.backward import NUM_EXAMPLES, Backward
from surplus.nets import Conv2
from surplus.passes import num_directions, unexplained
from surplus.passes.ghost import MatrixSums
from surplus.passes.statistics import Comoments

DATA = batches(30, (6,), 3)


def residual(columns: np.ndarray, unit: int, constant: bool = True) -> float:
    """The share of a column's squares that a least-squares fit on the others leaves."""
    others = np.delete(columns, unit, axis=1)
    target = columns[:, unit]
    if constant:
        others = np.concatenate([others, np.ones((len(others), 1))], axis=1)
        target = target - target.mean()
    fit = others @ np.linalg.lstsq(others, target, rcond=None)[0]
    return float(((target - fit) ** 2).sum() / (target**2).sum())


def outputs(mlp) -> np.ndarray:
    return torch.cat([mlp[:2](inputs) for inputs, _ in DATA]).detach().numpy()


def test_residuals_are_those_of_least_squares(mlp):
    columns = outputs(mlp)
    expected = [residual(columns, unit) for unit in range(8)]
    found = found_by(LinearDependence(residuals=True), mlp, DATA)
    each = units_of(found, "0", "residual")
    assert [each[unit] for unit in range(8)] == pytest.approx(expected)
    numbers = numbers_of(found, "0")
    assert numbers["mean_residual"] == pytest.approx(sum(expected) / 8)
    assert numbers["num_explained"] == sum(share < 0.01 for share in expected)


def test_a_sum_of_others_has_no_residual():
    """Units without activation function: 4 = 0 + 1 + a constant, 5 is a copy of 2, 3 stands alone."""
    model = nn.Sequential(nn.Linear(6, 6), nn.Identity(), nn.Linear(6, 3)).double()
    with torch.no_grad():
        weight, bias = model[0].weight, model[0].bias
        weight[4], bias[4] = weight[0] + weight[1], 3.0
        weight[5], bias[5] = -2 * weight[2], bias[2]
    found = found_by(LinearDependence(residuals=True), model, DATA)
    shares = units_of(found, "0", "residual")
    assert all(shares[unit] == 0 for unit in (0, 1, 2, 4, 5))
    assert shares[3] > 0.1
    numbers = numbers_of(found, "0")
    assert numbers["num_explained"] == 5
    assert numbers["num_independent_directions"] == 4
    assert numbers["num_dependent_together"] == 2


def test_independent_units_have_residuals_near_one():
    """Orthogonal weights on normal inputs: 4 units over 4,000 examples explain a thousandth of each other."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Identity(), nn.Linear(4, 3)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.diag(torch.tensor([1.0, 5.0, 0.1, 3.0])))
    found = found_by(LinearDependence(residuals=True), model, batches(2000, (4,), 3))
    assert min(units_of(found, "0", "residual").values()) > 0.99
    assert numbers_of(found, "0")["num_explained"] == 0


def test_too_few_rows_explain_everything_and_are_refused(mlp):
    data = [(inputs[:4], targets[:4]) for inputs, targets in DATA]
    notes = [each.note for each in found_by(LinearDependence(), mlp, data) if each.layer == "0"]
    assert "8 rows of data explain any" in notes[0]


def test_dead_units_are_left_out(mlp):
    with torch.no_grad():
        mlp[0].bias[2] = -100.0
    found = found_by(LinearDependence(residuals=True), mlp, DATA)
    assert numbers_of(found, "0")["num_constant"] == 1
    assert 2 not in units_of(found, "0", "residual")


def test_large_and_small_units_are_treated_alike(mlp):
    columns = torch.from_numpy(outputs(mlp))
    sums = Comoments(8)
    sums.add(columns * torch.logspace(-6, 6, 8).double(), 60)
    plain = Comoments(8)
    plain.add(columns, 60)
    assert torch.allclose(unexplained(sums.correlation), unexplained(plain.correlation), rtol=1e-8)


def test_gradients_passed_back_are_treated_like_outputs(mlp):
    """The pass gives gradients by the name of the weight matrix: 3 = 0 + 1, and output 2 never gets any."""
    rows = torch.randn(60, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) + 1
    rows[:, 3] = rows[:, 0] + rows[:, 1]
    rows[:, 2] = 0.0
    deltas = Comoments(8)
    deltas.add(rows, 60)
    measure = LinearDependence(residuals=True)
    seen = seen_with(measure, mlp, DATA)
    sums = MatrixSums(None, torch.Generator())
    sums.inputs["0.weight"] = sums.deltas["0.weight"] = deltas
    seen._kept["gradients", NUM_EXAMPLES] = Backward(None, sums, [])
    found = [
        each
        for _, each in findings(seen, (measure,))
        if each.other == "0.weight" and each.value is not None
    ]
    numbers = numbers_of(found, "0")
    left = np.delete(rows.numpy(), 2, axis=1)
    expected = [residual(left, place, constant=False) for place in range(7)]
    assert expected[2] == pytest.approx(0, abs=1e-12)  # unit 3
    assert numbers["mean_gradient_residual"] == pytest.approx(sum(expected) / 7)
    assert numbers["num_gradient_explained"] == 3
    assert numbers["num_gradient_dependent_together"] == 1
    assert units_of(found, "0", "gradient_residual")[5] == pytest.approx(expected[4])


def test_convolutions_are_treated_over_positions():
    model = shaken(Conv2(width=0.1).build((1, 8, 8), 3, seed=0))
    with torch.no_grad():
        model.conv1.weight[1], model.conv1.bias[1] = model.conv1.weight[0], model.conv1.bias[0]
    found = found_by(LinearDependence(residuals=True), model, batches(5, (1, 8, 8), 3))
    shares = units_of(found, "conv1", "residual")
    assert shares[0] == shares[1] == 0


def test_rank_of_no_spectrum():
    assert num_directions(torch.zeros(0), 1e-10) == 0
    assert num_directions(torch.zeros(3), 1e-10) == 0
