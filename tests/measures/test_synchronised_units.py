"""Synchronised units, against loops and planted blocks."""

import pytest
import torch
from torch import nn

from measuring import found_by, numbers_of, units_of
from planted import batches, shaken
from surplus.measures import SynchronisedUnits
from surplus.nets import Conv2

DATA = batches(30, (6,), 3)


def test_blocks_are_what_loops_find(mlp):
    with torch.no_grad():
        mlp[0].weight[3], mlp[0].bias[3] = 1.01 * mlp[0].weight[2], 1.02 * mlp[0].bias[2]
    rows = [mlp[:2](x[None])[0].tolist() for inputs, _ in DATA for x in inputs]
    inputs_of = [frozenset(i for i, row in enumerate(rows) if row[j] > 0) for j in range(8)]
    switching = [j for j in range(8) if 0 < len(inputs_of[j]) < 60]
    blocks = {}
    for unit in switching:
        blocks.setdefault(inputs_of[unit], []).append(unit)
    sizes = [len(each) for each in blocks.values() if len(each) > 1]
    near = [
        len(inputs_of[i] & inputs_of[j]) / len(inputs_of[i] | inputs_of[j]) >= 0.4
        for i in switching
        for j in switching
        if i < j
    ]
    found = numbers_of(found_by(SynchronisedUnits(jaccard=0.4), mlp, DATA), "0")
    assert found["num_blocks"] == len(sizes)
    assert found["num_synchronised"] == sum(sizes)
    assert found["num_free_directions"] == sum(size**2 - size for size in sizes)
    assert found["num_switching"] == len(switching)
    assert any(near) == (found["num_near_blocks"] > 0)


def test_finds_planted_blocks(mlp):
    """Units 0, 2 and 5 are scaled copies, and so are 1 and 6; 3 is dead and 4 is always on."""
    with torch.no_grad():
        layer = mlp[0]
        for copy, of, factor in ((2, 0, 2.0), (5, 0, 0.3), (6, 1, 7.0)):
            layer.weight[copy], layer.bias[copy] = (
                factor * layer.weight[of],
                factor * layer.bias[of],
            )
        layer.bias[3], layer.bias[4] = -100.0, 100.0
    found = found_by(SynchronisedUnits(), mlp, DATA)
    numbers = numbers_of(found, "0")
    assert units_of(found, "0", "block") == {0: 0, 2: 0, 5: 0, 1: 1, 6: 1}
    assert numbers["num_free_directions"] == (9 - 3) + (4 - 2)
    assert (numbers["num_never_firing"], numbers["num_always_firing"]) == (1, 1)
    assert numbers["num_switching"] == 6


def test_a_block_can_be_mixed_freely(mlp):
    """The count of free directions is that of a real freedom: a mixing of a block changes nothing on the data."""
    inputs = torch.cat([each for each, _ in DATA])
    with torch.no_grad():
        layer, reader = mlp[0], mlp[2]
        layer.weight[2], layer.bias[2] = 2 * layer.weight[0], 2 * layer.bias[0]
        before = mlp(inputs)
        mixing = torch.tensor([[0.7, 0.2], [0.1, 0.9]]).double()
        layer.weight[[0, 2]] = mixing @ layer.weight[[0, 2]]
        layer.bias[[0, 2]] = mixing @ layer.bias[[0, 2]]
        reader.weight[:, [0, 2]] = reader.weight[:, [0, 2]] @ mixing.inverse()
    assert torch.allclose(mlp(inputs), before)


def test_near_blocks_differ_on_few_inputs():
    """Two units over 100 inputs on a line, of which one fires on 50 and the other on 49."""
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 2)).double()
    with torch.no_grad():
        model[0].weight[:] = 1.0
        model[0].bias[:] = torch.tensor([-49.5, -50.5])
    data = [(torch.arange(100.0).double()[:, None], torch.zeros(100, dtype=torch.int64))]
    for jaccard, blocks in ((0.97, 1), (0.985, 0)):
        found = numbers_of(found_by(SynchronisedUnits(jaccard=jaccard), model, data), "0")
        assert found["num_blocks"] == 0
        assert found["num_near_blocks"] == blocks


def test_other_activation_functions_are_named(mlp):
    (found,) = (each for each in found_by(SynchronisedUnits(), mlp, DATA) if each.layer == "2")
    assert found.quantity == "untreated" and "not rectified" in found.note


def test_units_that_saturate_are_told(mlp):
    mlp[1] = nn.ReLU6()
    notes = [each.note for each in found_by(SynchronisedUnits(), mlp, DATA) if each.layer == "0"]
    assert any("saturate" in (note or "") for note in notes)


def test_filters_have_to_fire_at_the_same_positions():
    model = shaken(Conv2(width=0.1).build((1, 8, 8), 3, seed=0))
    with torch.no_grad():
        model.conv1.weight[1], model.conv1.bias[1] = (
            2 * model.conv1.weight[0],
            2 * model.conv1.bias[0],
        )
    found = found_by(SynchronisedUnits(), model, batches(5, (1, 8, 8), 3), positions=None)
    blocks = units_of(found, "conv1", "block")
    assert blocks[0] == blocks[1]
    assert {each.n for each in found if each.layer == "conv1"} == {10 * 64}
    assert numbers_of(found, "conv1")["num_blocks"] == pytest.approx(len(set(blocks.values())))
