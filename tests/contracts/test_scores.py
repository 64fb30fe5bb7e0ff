"""The contract of every criterion. A new one is checked here without another line but its oracle."""

import copy

import pytest
import torch
from torch import nn

import oracles.scores as oracles
from planted import batches, permuted, shaken
from surplus.base import members
from surplus.nets import Conv2
from surplus.scores import Layer, Score, order_of_removal, score
from surplus.scores.random import Random
from surplus.units import find_units

ALL = list(members(Score).values())
JUDGED = [kind for kind in ALL if kind is not Random]
ids = lambda kind: kind.kind  # noqa: E731


def layer_of(model: nn.Module, name: str, shape: tuple[int, ...], classes: int = 3) -> Layer:
    data = batches(7, shape, classes)
    units = find_units(model, data[0][0][:2])
    return Layer(model, units, name, torch.ones(units[name].size, dtype=torch.bool), data)


@pytest.mark.parametrize("kind", JUDGED, ids=ids)
def test_agrees_with_its_oracle_on_a_dense_layer(kind, mlp):
    layer = layer_of(mlp, "0", (6,))
    expected = getattr(oracles, kind.kind.replace("-", "_"))(kind(), layer)
    assert kind().score(layer).double().tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("kind", JUDGED, ids=ids)
def test_agrees_with_its_oracle_on_a_convolution_read_through_pooling_and_flatten(kind):
    model = shaken(Conv2(width=0.05).build((1, 8, 8), 3, seed=0))
    layer = layer_of(model, "conv2", (1, 8, 8))
    expected = getattr(oracles, kind.kind.replace("-", "_"))(kind(), layer)
    assert kind().score(layer).double().tolist() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("kind", JUDGED, ids=ids)
def test_follows_removals_as_if_computed_anew(kind, mlp):
    layer = layer_of(mlp, "0", (6,))
    ranking = kind().start(layer)
    for unit in (5, 0, 2):
        ranking.remove(unit)
        layer = layer.without(unit)
        expected = getattr(oracles, kind.kind.replace("-", "_"))(kind(), layer)
        found = ranking.scores.double().tolist()
        for left in layer.kept.nonzero()[:, 0].tolist():
            assert found[left] == pytest.approx(expected[left], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("kind", JUDGED, ids=ids)
def test_permuting_units_permutes_scores(kind, mlp):
    order = torch.randperm(8, generator=torch.Generator().manual_seed(3))
    before = kind().score(layer_of(mlp, "0", (6,)))
    after = kind().score(layer_of(permuted(mlp, order), "0", (6,)))
    torch.testing.assert_close(after, before[order], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ALL, ids=ids)
def test_leaves_the_model_as_it_was(kind, mlp):
    mlp.train()
    before = copy.deepcopy(mlp.state_dict())
    data = batches(7, (6,), 3)
    units = find_units(mlp, data[0][0][:2])
    found = score(mlp, units, kind(), data)
    assert set(found.values) == {"0", "2"}
    assert mlp.training
    assert all(not module._forward_hooks for module in mlp.modules())
    for name, tensor in mlp.state_dict().items():
        assert torch.equal(tensor, before[name])


def planted() -> nn.Sequential:
    """Return a net whose unit 0 decides the class, whose unit 1 does a little, and whose unit 2 is nearly silent."""
    net = nn.Sequential(
        nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 2, bias=False)
    ).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[3.0, 0.0], [0.9, 0.3], [0.001, 0.01]]))
        net[2].weight.copy_(torch.tensor([[2.0, 0.1, 0.001], [-2.0, -0.1, 0.001]]))
    return net


FUNCTIONAL = {
    "magnitude",
    "mean-activation",
    "activation-frequency",
    "taylor",
    "outgoing-norm",
    "leave-one-out-loss",
    "frame-potential-raw",
}


@pytest.mark.parametrize("kind", sorted(FUNCTIONAL))
def test_the_deciding_unit_is_most_worth_keeping(kind):
    inputs = torch.tensor([[1.0, -1.0], [2.0, -2.0], [-1.0, 1.0], [1.0, -3.0]], dtype=torch.float64)
    data = [(inputs, torch.tensor([0, 0, 1, 0]))]
    net = planted()
    units = find_units(net, inputs)
    values = members(Score)[kind]().score(
        Layer(net, units, "0", torch.ones(3, dtype=torch.bool), data)
    )
    assert int(values.argmax()) == 0


@pytest.mark.parametrize(
    ("kind", "isolated"), [("frame-potential", 0), ("inner-product", 0), ("geometric-median", 1)]
)
def test_geometry_tells_the_isolated_from_the_repeated(kind, isolated):
    """Units 1 and 2 point the same way and lie together; unit 0 is orthogonal and far."""
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[0.0, 5.0], [1.0, 0.0], [1.1, 0.0]]))
    layer = layer_of(net, "0", (2,), classes=2)
    values = members(Score)[kind]().score(layer)
    # Overlap is lowest for the isolated unit; the sum of distances is lowest for one of the pair.
    assert int(values.argmin()) == isolated
    assert order_of_removal(members(Score)[kind](), layer)[0] == isolated


@pytest.mark.parametrize("kind", ALL, ids=ids)
def test_both_directions_remove_every_unit_once(kind, mlp):
    layer = layer_of(mlp, "0", (6,))
    for highest in (False, True):
        assert sorted(order_of_removal(kind(), layer, highest=highest)) == list(range(8))


def test_random_is_a_function_of_its_seed_and_layer(mlp):
    layer = layer_of(mlp, "0", (6,))
    assert torch.equal(Random(seed=1).score(layer), Random(seed=1).score(layer))
    assert not torch.equal(Random(seed=1).score(layer), Random(seed=2).score(layer))


@pytest.mark.parametrize("kind", ALL, ids=ids)
def test_dead_rows_do_not_break_a_criterion(kind, mlp):
    with torch.no_grad():
        mlp[0].weight[2:4] = 0
        mlp[0].bias[2:4] = 0
    values = kind().score(layer_of(mlp, "0", (6,)))
    assert torch.isfinite(values).all()
