"""Small models of theory: what they compute, what they hold fixed, and that the fleet engine runs them."""

import math

import pytest
import torch
from torch import nn

from planted import shaken
from surplus.base import InvalidArgument
from surplus.nets import MLP, Committee, FixedReadout, Rescaled, XORDNet
from surplus.tasks.xord import PATTERNS
from surplus.training.forward import Forward
from surplus.units import find_units, is_chain

MODELS = {
    "xord-net": (XORDNet(width=3), (2, 1, 5), 2),
    "fixed-readout": (FixedReadout(width=6), (7,), 2),
    "committee": (Committee(width=4), (7,), 1),
    "learnt committee": (Committee(width=4, learnt=True), (7,), 3),
    "rescaled": (Rescaled(inner=MLP(widths=(5,)), factor=0.1), (7,), 3),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_fleet_engine_computes_what_the_module_computes(name):
    net, shape, num_classes = MODELS[name]
    model = shaken(net.build(shape, num_classes, seed=0))
    assert is_chain(model)
    inputs = torch.randn(4, *shape, dtype=torch.float64)
    stacked = {key: torch.stack([each, each]) for key, each in model.state_dict().items()}
    outputs = Forward(model)(torch.stack([inputs, inputs]), stacked, stacked)
    for replica in outputs:
        torch.testing.assert_close(replica.T, model(inputs), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", MODELS)
def test_a_seed_draws_what_is_trained(name):
    net, shape, num_classes = MODELS[name]
    one, same, other = (net.build(shape, num_classes, seed) for seed in (0, 0, 1))
    for (key, a), b, c in zip(
        one.named_parameters(), same.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(a, b)
        assert torch.equal(a, c) != (a.requires_grad and key.endswith("weight"))


@pytest.mark.parametrize("name", MODELS)
def test_hidden_units_are_found(name):
    net, shape, num_classes = MODELS[name]
    model = net.build(shape, num_classes, seed=0)
    first = next(iter(find_units(model, torch.randn(2, *shape))))
    assert first.size == len(next(model.parameters()))


def test_the_xord_network_by_hand():
    """N = sum max relu(w x) - sum max relu(u x), filter by filter and position by position."""
    model = XORDNet(width=2).build((2, 1, 4), 2, seed=0)
    filters = model.filters.weight.detach()[:, :, 0, 0]
    x = torch.tensor(PATTERNS)[[0, 3, 3, 1]]
    N = 0.0
    for place, w in enumerate(filters):
        response = max(max(float(w @ each), 0.0) for each in x)
        N += response if place < 2 else -response
    assert model(x.T[None, :, None])[0].tolist() == pytest.approx([0.0, N])


def test_the_committee_by_hand():
    model = Committee(width=3).build((5,), 1, seed=0)
    x = torch.randn(5)
    fields = model.hidden.weight.detach() @ x
    expected = sum(math.erf(float(each) / math.sqrt(2)) for each in fields)
    assert float(model(x[None]).detach()) == pytest.approx(expected, rel=1e-5)
    assert [each.requires_grad for each in model.parameters()] == [True, False]


def test_initial_weights_have_the_spread_that_is_asked_for():
    filters = XORDNet(width=400, spread=1.0).build((2, 1, 4), 2, seed=0).filters.weight
    assert float(filters.detach().std()) == pytest.approx(400**-1.5, rel=0.06)
    hidden = FixedReadout(width=100, std=0.3).build((50,), 2, seed=0).hidden.weight
    assert float(hidden.detach().std()) == pytest.approx(0.3, rel=0.05)
    inner = MLP(widths=(5,)).build((7,), 3, seed=0)
    outer = Rescaled(inner=MLP(widths=(5,)), factor=0.5).build((7,), 3, seed=0)
    assert torch.equal(outer.fc1.weight, 0.5 * inner.fc1.weight)


def test_rescaling_leaves_fixed_layers_alone():
    model = Rescaled(inner=FixedReadout(width=4), factor=0.5).build((3,), 2, seed=0)
    assert isinstance(model.readout, nn.Linear)
    assert model.readout.weight[1].tolist() == [0.5, 0.5, -0.5, -0.5]


@pytest.mark.message
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: XORDNet(width=0), "`width` is 0 and `spread` 0.001"),
        (lambda: XORDNet().build((4,), 2, 0), "takes images"),
        (lambda: FixedReadout(width=1), "`width` is 1"),
        (lambda: FixedReadout().build((4,), 3, 0), "tells two classes apart; there are 3"),
        (lambda: Committee(width=0), "`width` is 0"),
        (lambda: Rescaled(inner=MLP(), factor=0.0), "`factor` is 0; it must be positive"),
    ],
)
def test_what_cannot_be_built_is_said(make, message):
    with pytest.raises(InvalidArgument, match=message):
        make()
