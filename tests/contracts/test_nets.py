"""The contract of every net."""

import math

import pytest
import torch
from torch import nn

from planted import shaken
from surplus.base import Net, members
from surplus.edits import cut
from surplus.masks import Mask, enforce
from surplus.training.forward import Forward
from surplus.units import find_units

NETS = {name: kind for name, kind in members(Net).items() if not name.startswith("tiny")}


def small(kind):
    return kind(width=0.1)


@pytest.mark.parametrize("name", NETS)
def test_same_seed_same_weights_other_seed_others(name):
    net = small(NETS[name])
    one, same, other = (net.build((3, 32, 32), 10, seed) for seed in (0, 0, 1))
    for key, tensor in one.state_dict().items():
        assert torch.equal(tensor, same.state_dict()[key])
        if key.endswith("weight") and tensor.dim() > 1:
            assert not torch.equal(tensor, other.state_dict()[key])


@pytest.mark.parametrize("name", NETS)
def test_weights_are_gaussian_glorot(name):
    for module in NETS[name]().build((3, 32, 32), 10, seed=0):
        if isinstance(module, nn.Linear | nn.Conv2d) and module.weight.numel() > 20_000:
            area = module.weight[0, 0].numel()
            expected = math.sqrt(2 / (area * sum(module.weight.shape[:2])))
            assert float(module.weight.detach().std()) == pytest.approx(expected, rel=0.03)
            assert not module.bias.any()


def test_a_layer_is_drawn_alone():
    """Another shape of the last layer leaves the earlier ones as they were."""
    ten, five = (NETS["lenet-300-100"]().build((1, 28, 28), n, seed=0) for n in (10, 5))
    assert torch.equal(ten.fc1.weight, five.fc1.weight)
    assert torch.equal(ten.fc2.weight, five.fc2.weight)


@pytest.mark.parametrize("name", NETS)
def test_without_biases(name):
    net = NETS[name](width=0.1, bias=False).build((3, 32, 32), 10, seed=0)
    assert all(m.bias is None for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("density", [0.1, 0.5, 0.9])
def test_cut_equals_masked(name, density):
    model = shaken(small(NETS[name]).build((3, 32, 32), 10, seed=0))
    example = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    units = find_units(model, example)
    generator = torch.Generator().manual_seed(int(10 * density))
    kept = {}
    for group in units.removable():
        kept[group.name] = torch.rand(group.size, generator=generator) < density
        kept[group.name][0] = True
    mask = Mask(kept, "units", units)
    smaller, _ = cut(model, mask)
    expected = enforce(model, mask)(example)
    torch.testing.assert_close(smaller(example), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NETS)
def test_the_fleet_engine_computes_what_the_module_computes(name):
    model = shaken(small(NETS[name]).build((3, 32, 32), 10, seed=0))
    inputs = torch.randn(4, 3, 32, 32, dtype=torch.float64)
    stacked = {key: torch.stack([each, each]) for key, each in model.state_dict().items()}
    outputs = Forward(model)(torch.stack([inputs, inputs]), stacked, stacked)
    for replica in outputs:
        torch.testing.assert_close(replica.T, model(inputs), rtol=1e-10, atol=1e-10)
