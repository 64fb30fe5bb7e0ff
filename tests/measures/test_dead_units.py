"""Dead and always-on units, against loops and networks built by hand."""

import pytest
import torch
from torch import nn

from measuring import found_by, numbers_of, units_of
from planted import batches, shaken
from surplus.masks import Mask
from surplus.measures import DeadUnits
from surplus.nets import Conv2
from surplus.units import find_units


def test_counts_what_loops_count(mlp):
    data = batches(30, (6,), 3)
    with torch.no_grad():
        mlp[0].bias[1], mlp[0].bias[4] = -3.0, 4.0
    outputs = [mlp[:2](x[None])[0].tolist() for inputs, _ in data for x in inputs]
    fires = [sum(row[unit] > 0 for row in outputs) for unit in range(8)]
    found = numbers_of(found_by(DeadUnits(), mlp, data), "0")
    assert found["num_units"] == 8
    assert found["num_dead"] == fires.count(0)
    assert found["num_always_on"] == fires.count(60) > 0


def test_tells_static_from_dynamic(mlp):
    """Unit 2 has lost all its inputs, unit 5 has a bias that no input overcomes; unit 6 is a positive constant."""
    with torch.no_grad():
        mlp[0].weight[2], mlp[0].bias[2] = 0.0, -0.1
        mlp[0].bias[5] = -100.0
        mlp[0].weight[6], mlp[0].bias[6] = 0.0, 1.0
    found = found_by(DeadUnits(), mlp, batches(30, (6,), 3))
    numbers = numbers_of(found, "0")
    assert numbers["num_dead"] == 2
    assert numbers["static_dead_rate"] == numbers["dynamic_dead_rate"] == 1 / 8
    assert set(units_of(found, "0", "dead")) == {2, 5}
    assert 6 in units_of(found, "0", "always_on")


def test_a_unit_whose_weights_are_masked_is_statically_dead(mlp):
    """Masked weights may still move under an optimiser; they count as gone."""
    with torch.no_grad():
        mlp[0].bias[5] = -100.0
    data = batches(30, (6,), 3)
    kept = torch.ones(8, 6, dtype=torch.bool)
    mask = Mask({"0.weight": kept}, "weights")
    assert numbers_of(found_by(DeadUnits(), mlp, data, mask=mask), "0")["static_dead_rate"] == 0
    kept[5] = False
    mask = Mask({"0.weight": kept}, "weights")
    assert numbers_of(found_by(DeadUnits(), mlp, data, mask=mask), "0")["static_dead_rate"] == 1 / 8
    other = Mask({"2.weight": torch.ones(5, 8, dtype=torch.bool)}, "weights")
    assert numbers_of(found_by(DeadUnits(), mlp, data, mask=other), "0")["static_dead_rate"] == 0


def test_removed_units_are_not_counted(mlp):
    kept = torch.tensor([True] * 5 + [False] * 3)
    units = find_units(mlp, torch.zeros(2, 6, dtype=torch.float64))
    with torch.no_grad():
        mlp[0].bias[:3] = -100.0
    mask = Mask({"0": kept}, "units", units)
    found = numbers_of(found_by(DeadUnits(), mlp, batches(30, (6,), 3), mask=mask), "0")
    assert (found["num_units"], found["num_dead"]) == (5, 3)
    assert found["dynamic_dead_rate"] == 3 / 5


def test_a_filter_is_dead_if_it_is_silent_at_every_position():
    model = shaken(Conv2(width=0.05).build((1, 8, 8), 3, seed=0))
    images, labels = batches(3, (1, 8, 8), 3)[0]
    with torch.no_grad():
        model.conv1.bias[0] = -100.0
        model.conv1.weight[1], model.conv1.bias[1] = 0.0, -0.5
        model.conv1.weight[2].abs_()
        # The least bias that leaves the filter firing somewhere: at one position of one image.
        model.conv1.bias[2] = 0.0
        model.conv1.bias[2] = 1e-6 - model.conv1(images)[:, 2].max()
    found = found_by(DeadUnits(), model, [(images, labels)], positions=1)
    dead = units_of(found, "conv1", "dead")
    assert {0, 1} <= set(dead) and 2 not in dead
    numbers = numbers_of(found, "conv1")
    assert numbers["static_dead_rate"] == pytest.approx(1 / model.conv1.out_channels)


def test_normalised_filters_are_seen_behind_their_rectifier():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    ).double()
    with torch.no_grad():
        model[1].bias[2] = -100.0
    found = found_by(DeadUnits(), model.eval(), batches(5, (1, 6, 6), 3))
    assert set(units_of(found, "0", "dead")) == {2}


def test_units_without_a_rectifier_are_constant_instead():
    model = nn.Sequential(nn.Linear(6, 4), nn.GELU(), nn.Linear(4, 3)).double()
    with torch.no_grad():
        model[0].weight[1] = 0.0
    found = found_by(DeadUnits(), model, batches(20, (6,), 3))
    numbers = numbers_of(found, "0")
    assert numbers["num_constant"] == 1 and "num_dead" not in numbers
    assert set(units_of(found, "0", "constant")) == {1}
