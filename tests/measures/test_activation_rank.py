"""Ranks of activations: against singular values of everything kept, on planted ranks, and honest about rounding."""

import math

import pytest
import torch
from torch import nn

from planted import batches, shaken
from surplus.measures import ActivationRank, findings, observed
from surplus.nets import Conv2
from surplus.passes import activations
from surplus.units import find_units


def seen_by(measure, model, data, **more):
    return observed(model, find_units(model, data[0][0][:2]), (measure,), data, **more)


def found(measure, model, data, layer, **more):
    """The numbers of a layer by quantity and place on the curve."""
    return {
        (each.quantity, each.at): each.value
        for _, each in findings(seen_by(measure, model, data, **more), (measure,))
        if each.layer == layer
    }


def rows_of(model, data, layer):
    """The outputs of a layer on all data, kept whole and centred."""
    tap = find_units(model, data[0][0][:2])[layer].tap
    outputs = torch.cat(list(activations(model, tap, data)))
    rows = outputs.transpose(1, 2).reshape(-1, outputs.shape[1])
    return rows - rows.mean(0)


def oracle(rows, tolerance, shares):
    values = torch.linalg.svdvals(rows).tolist()
    total = sum(values)
    squares = [value**2 for value in values]
    ranks = {
        ("numerical_rank", None): sum(value > tolerance * values[0] for value in values),
        ("effective_rank", None): math.exp(
            -sum(value / total * math.log(value / total) for value in values if value > 0)
        ),
        ("participation_ratio", None): sum(squares) ** 2 / sum(each**2 for each in squares),
    }
    for share in shares:
        count = 1
        while sum(squares[:count]) < share * sum(squares):
            count += 1
        ranks["num_components", share] = count
    return ranks


@pytest.mark.parametrize("layer", ["0", "2", "4"])
def test_ranks_are_those_of_everything_kept(mlp, layer):
    data = batches(40, (6,), 3)
    measure = ActivationRank()
    numbers = found(measure, mlp, data, layer)
    expected = oracle(rows_of(mlp, data, layer), 1e-6, measure.shares)
    assert {key: numbers[key] for key in expected} == pytest.approx(expected, rel=1e-6)


def test_rows_are_examples_and_positions():
    model = shaken(Conv2(width=0.05).build((1, 8, 8), 3, seed=0))
    data = batches(20, (1, 8, 8), 3)
    measure = ActivationRank()
    numbers = found(measure, model, data, "conv1", positions=None)
    assert numbers["num_rows", None] == 40 * 64
    expected = oracle(rows_of(model, data, "conv1"), 1e-6, measure.shares)
    assert {key: numbers[key] for key in expected} == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("rank", [1, 3, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_planted_rank_is_found(rank, dtype):
    torch.manual_seed(rank)
    model = nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 15), nn.Linear(15, 3))
    with torch.no_grad():
        model[2].weight.copy_(torch.randn(15, rank) @ torch.randn(rank, 20))
    numbers = found(ActivationRank(), model.to(dtype), batches(100, (12,), 3, dtype), "2")
    assert numbers["numerical_rank", None] == rank
    assert numbers["num_components", 0.99] <= rank
    assert 1 <= numbers["effective_rank", None] <= rank + 1e-3


def test_equal_directions_have_all_ranks_alike():
    model = nn.Sequential(nn.Identity(), nn.Linear(4, 4, bias=False), nn.Linear(4, 2)).double()
    with torch.no_grad():
        model[1].weight.copy_(torch.eye(4))
    inputs = torch.cat([torch.eye(4), -torch.eye(4)]).double()
    numbers = found(ActivationRank(), model, [(inputs, torch.zeros(8).long())], "1")
    for quantity in ("numerical_rank", "effective_rank", "participation_ratio"):
        assert numbers[quantity, None] == pytest.approx(4)
    assert [numbers["num_components", share] for share in (0.8, 0.95, 0.99)] == [4, 4, 4]


def test_the_tolerance_is_that_of_the_type_and_never_finer_than_sums_of_products():
    """A direction of 1e-7 of the largest is rounding in float32, cannot be told in float64, and is found at 1e-2."""
    scales = torch.tensor([1.0, 1e-2, 1e-4, 1e-7])
    for dtype, rank in ((torch.float32, 3), (torch.float64, 3)):
        model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 2)).to(dtype)
        with torch.no_grad():
            model[0].weight.copy_(scales.diag())
        data = batches(100, (4,), 3, dtype)
        rows = 200
        usual = rows * torch.finfo(dtype).eps
        finest = math.sqrt(rows * torch.finfo(torch.float64).eps)
        numbers = found(ActivationRank(), model, data, "0")
        assert numbers["rank_tolerance", None] == pytest.approx(max(usual, finest))
        assert numbers["numerical_rank", None] == rank
        coarse = found(ActivationRank(tolerance=1e-3), model, data, "0")
        assert coarse["numerical_rank", None] == 2


def test_a_type_that_is_too_coarse_says_so():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)).to(torch.bfloat16)
    data = batches(100, (4,), 3, torch.bfloat16)
    notes = [
        each.note
        for _, each in findings(seen_by(ActivationRank(), model, data), (ActivationRank(),))
        if each.quantity == "numerical_rank"
    ]
    assert notes[0] == "bfloat16 is too coarse for a rank of 200 rows: set `tolerance`"


def test_what_never_changes_has_rank_zero(mlp):
    with torch.no_grad():
        mlp[0].weight.zero_()
    measure = ActivationRank()
    rows = [
        each
        for _, each in findings(seen_by(measure, mlp, batches(9, (6,), 3)), (measure,))
        if each.layer == "0" and each.quantity == "numerical_rank"
    ]
    assert [(each.value, each.note) for each in rows] == [(0, "its outputs never change")]
