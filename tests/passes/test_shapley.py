"""Shapley values of units: the efficiency law, symmetry, dummies, and all orders of a small layer."""

import itertools

import pytest
import torch
from torch import nn

import oracles.removals as oracle
from planted import batches, shaken
from surplus.base import InvalidArgument
from surplus.nets import Conv2, LeNet300100
from surplus.passes import Removals, gini, rank_correlation, shapley
from surplus.units import find_units


def prepared(net, shape=(2, 8, 8)):
    model = shaken(net.build(shape, 4, seed=0))
    data = batches(9, shape, 4)
    return model, data, find_units(model, data[0][0][:2])


@pytest.mark.parametrize(
    ("net", "layer"), [(LeNet300100(width=0.05), "fc1"), (Conv2(width=0.06), "conv2")]
)
def test_values_sum_to_empty_minus_full(net, layer):
    model, data, units = prepared(net)
    size = units[layer].size
    removals = Removals(model, units, layer, data)
    found = shapley(removals, torch.ones(size, dtype=torch.bool), num_draws=3, seed=1)
    curve = removals.along(torch.arange(size)[None])
    assert float(found.loss.sum()) == pytest.approx(float(curve.loss[0, -1] - curve.loss[0, 0]))
    lost = float(curve.accuracy[0, -1] - curve.accuracy[0, 0])
    assert float(found.accuracy.sum()) == pytest.approx(lost)
    assert found.num_draws == 3 and bool((found.loss_half > 0).all())


def test_the_interval_covers_the_mean_over_all_orders():
    """And the mean over all orders is the textbook's, from the naive protocol."""
    model, data, units = prepared(LeNet300100(width=0.05))
    model = nn.Sequential(nn.Flatten(), nn.Linear(128, 4), nn.ReLU(), nn.Linear(4, 4)).double()
    units = find_units(model, data[0][0][:2])
    (layer,) = units.names(None)
    exact = torch.zeros(4, dtype=torch.float64)
    orders = list(itertools.permutations(range(4)))
    for order in orders:
        losses, _ = oracle.curve(model, units, layer, data, list(order))
        for place, unit in enumerate(order):
            exact[unit] += (losses[place + 1] - losses[place]) / len(orders)
    removals = Removals(model, units, layer, data)
    kept = torch.ones(4, dtype=torch.bool)
    covered = total = 0
    for seed in range(50):
        found = shapley(removals, kept, num_draws=12, seed=seed)
        covered += int(((found.loss - exact).abs() <= found.loss_half + 1e-12).sum())
        total += 4
    assert covered / total > 0.88
    many = shapley(removals, kept, num_draws=2000, seed=0)
    torch.testing.assert_close(many.loss, exact, rtol=0, atol=5e-3)


def test_copies_are_worth_the_same_and_silent_or_removed_units_nothing():
    generator = torch.Generator().manual_seed(3)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    model.requires_grad_(False)
    model[0].weight[1], model[0].bias[1] = model[0].weight[0], model[0].bias[0]
    model[2].weight[:, 1] = model[2].weight[:, 0]
    model[0].weight[2], model[0].bias[2] = 0.0, -1.0
    inputs = torch.randn(60, 6, generator=generator, dtype=torch.float64)
    data = [(inputs, torch.arange(60) % 3)]
    kept = torch.tensor([True, True, True, False, True])
    removals = Removals(model, find_units(model, inputs[:2]), "0", data)
    found = shapley(removals, kept, num_draws=400, seed=0)
    assert float(found.loss[2]) == 0.0 == float(found.loss[3])
    apart = abs(float(found.loss[0] - found.loss[1]))
    assert apart <= float(found.loss_half[0] + found.loss_half[1])


def test_one_draw_is_refused(mlp, example):
    removals = Removals(mlp, find_units(mlp, example), "0", batches(3, (6,), 3))
    with pytest.raises(InvalidArgument, match="`num_draws` is 1; an interval needs at least 2"):
        shapley(removals, torch.ones(8, dtype=torch.bool), num_draws=1, seed=0)


def test_gini_is_the_mean_difference_over_twice_the_mean():
    amounts = torch.rand(17, dtype=torch.float64)
    differences = (amounts - amounts[:, None]).abs().mean()
    assert gini(amounts) == pytest.approx(float(differences / (2 * amounts.mean())))


def test_rank_correlation_is_that_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    some = torch.randint(0, 6, (40,)).double()
    other = some + torch.randint(0, 9, (40,)).double()
    assert rank_correlation(some, other) == pytest.approx(stats.spearmanr(some, other).statistic)
