"""The contract of every criterion. A new one is checked here without another line but its oracle."""

import copy
import dataclasses

import pytest
import torch
from torch import nn

import oracles.scores as oracles
from planted import batches, permuted, shaken
from surplus.base import label, members
from surplus.nets import Conv2
from surplus.scores import Layer, Score, order_of_removal, score
from surplus.scores.random import Random
from surplus.units import find_units

KINDS = members(Score)
SETTINGS = {  # each field of each criterion, at every value that takes another path
    "magnitude": ({}, {"power": 1}),
    "taylor": ({}, {"per_example": False}),
    "random": ({}, {"seed": 3}),
}
ALL = [KINDS[name](**each) for name in KINDS for each in SETTINGS.get(name, ({},))]
JUDGED = [score for score in ALL if not isinstance(score, Random)]


def layer_of(model: nn.Module, name: str, shape: tuple[int, ...], classes: int = 3) -> Layer:
    data = batches(7, shape, classes)
    units = find_units(model, data[0][0][:2])
    return Layer(model, units, name, torch.ones(units[name].size, dtype=torch.bool), data)


def oracle(criterion: Score, layer: Layer) -> list[float]:
    return getattr(oracles, criterion.kind.replace("-", "_"))(criterion, layer)


def test_every_setting_of_every_criterion_is_compared():
    for name, kind in KINDS.items():
        fields = {field.name for field in dataclasses.fields(kind)}
        assert fields == {key for each in SETTINGS.get(name, ()) for key in each}, name


@pytest.mark.parametrize("criterion", JUDGED, ids=label)
def test_agrees_with_its_oracle_on_a_dense_layer(criterion, mlp):
    layer = layer_of(mlp, "0", (6,))
    expected = oracle(criterion, layer)
    assert criterion.score(layer).double().tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("criterion", JUDGED, ids=label)
def test_agrees_with_its_oracle_on_a_convolution_read_through_pooling_and_flatten(criterion):
    model = shaken(Conv2(width=0.05).build((1, 8, 8), 3, seed=0))
    layer = layer_of(model, "conv2", (1, 8, 8))
    expected = oracle(criterion, layer)
    assert criterion.score(layer).double().tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("criterion", JUDGED, ids=label)
def test_follows_removals_as_if_computed_anew(criterion, mlp):
    layer = layer_of(mlp, "0", (6,))
    ranking = criterion.start(layer)
    for unit in (5, 0, 2):
        ranking.remove(unit)
        layer = layer.without(unit)
        expected = oracle(criterion, layer)
        found = ranking.scores.double().tolist()
        for left in layer.kept.nonzero()[:, 0].tolist():
            assert found[left] == pytest.approx(expected[left], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("criterion", JUDGED, ids=label)
def test_permuting_units_permutes_scores(criterion, mlp):
    order = torch.randperm(8, generator=torch.Generator().manual_seed(3))
    before = criterion.score(layer_of(mlp, "0", (6,)))
    after = criterion.score(layer_of(permuted(mlp, order), "0", (6,)))
    torch.testing.assert_close(after, before[order], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("criterion", ALL, ids=label)
def test_leaves_the_model_as_it_was(criterion, mlp):
    mlp.train()
    before = copy.deepcopy(mlp.state_dict())
    data = batches(7, (6,), 3)
    units = find_units(mlp, data[0][0][:2])
    found = score(mlp, units, criterion, data)
    assert set(found.values) == {"0", "2"}
    assert mlp.training
    assert all(not module._forward_hooks for module in mlp.modules())
    for name, tensor in mlp.state_dict().items():
        assert torch.equal(tensor, before[name])


def planted() -> nn.Sequential:
    """Return a net whose unit 0 decides the class, whose unit 1 does a little, and whose unit 2 is nearly silent.

    The bias of the outputs gives class 1 whatever unit 0 does not win for class 0.
    """
    net = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 2)).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[3.0, 0.0], [0.9, 0.3], [0.001, 0.01]]))
        net[2].weight.copy_(torch.tensor([[2.0, 0.1, 0.001], [-2.0, -0.1, 0.001]]))
        net[2].bias.copy_(torch.tensor([0.0, 0.5]))
    return net


FUNCTIONAL = {
    "magnitude",
    "mean-activation",
    "activation-frequency",
    "taylor",
    "outgoing-norm",
    "leave-one-out-loss",
    "leave-one-out-accuracy",
    "frame-potential-raw",
}
GEOMETRIC = {"frame-potential": 0, "inner-product": 0, "geometric-median": 1}


def test_every_criterion_has_a_test_of_its_direction():
    assert {*FUNCTIONAL, *GEOMETRIC, "random"} == set(KINDS)


@pytest.mark.parametrize("criterion", [each for each in ALL if each.kind in FUNCTIONAL], ids=label)
def test_the_deciding_unit_is_most_worth_keeping(criterion):
    inputs = torch.tensor([[1.0, -1.0], [2.0, -2.0], [-1.0, 1.0], [1.0, -3.0]], dtype=torch.float64)
    data = [(inputs, torch.tensor([0, 0, 1, 0]))]
    net = planted()
    units = find_units(net, inputs)
    layer = Layer(net, units, "0", torch.ones(3, dtype=torch.bool), data)
    values = criterion.score(layer).tolist()
    assert values[0] > max(values[1:])
    assert order_of_removal(criterion, layer)[-1] == 0
    assert order_of_removal(criterion, layer, highest=True)[0] == 0


@pytest.mark.parametrize(("kind", "isolated"), GEOMETRIC.items())
def test_geometry_tells_the_isolated_from_the_repeated(kind, isolated):
    """Units 1 and 2 point the same way and lie together; unit 0 is orthogonal and far."""
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[0.0, 5.0], [1.0, 0.0], [1.1, 0.0]]))
    layer = layer_of(net, "0", (2,), classes=2)
    values = KINDS[kind]().score(layer)
    # Overlap is lowest for the isolated unit; the sum of distances is lowest for one of the pair.
    assert int(values.argmin()) == isolated
    assert order_of_removal(KINDS[kind](), layer)[0] == isolated


@pytest.mark.parametrize("criterion", ALL, ids=label)
def test_both_directions_remove_every_unit_once(criterion, mlp):
    layer = layer_of(mlp, "0", (6,))
    for highest in (False, True):
        assert sorted(order_of_removal(criterion, layer, highest=highest)) == list(range(8))


def test_random_is_a_function_of_its_seed_and_layer(mlp):
    layer = layer_of(mlp, "0", (6,))
    assert torch.equal(Random(seed=1).score(layer), Random(seed=1).score(layer))
    assert not torch.equal(Random(seed=1).score(layer), Random(seed=2).score(layer))


@pytest.mark.parametrize("criterion", ALL, ids=label)
def test_dead_rows_do_not_break_a_criterion(criterion, mlp):
    with torch.no_grad():
        mlp[0].weight[2:4] = 0
        mlp[0].bias[2:4] = 0
    values = criterion.score(layer_of(mlp, "0", (6,)))
    assert torch.isfinite(values).all()
