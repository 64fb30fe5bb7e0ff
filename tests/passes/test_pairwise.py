"""Removals in pairs: equal to masking and running again; interactions that are known beforehand."""

import math

import pytest
import torch
from torch import nn

import oracles.removals as oracle
from planted import TinyConv, TinyResidual, batches, shaken
from surplus.nets import VGG19BN, Conv2, LeNet300100
from surplus.passes import Removals, pairwise
from surplus.units import find_units

CASES = [
    (LeNet300100(width=0.04), (1, 6, 6), "fc1"),
    (LeNet300100(width=0.04), (1, 6, 6), "fc2"),
    (LeNet300100(width=0.04, bias=False), (1, 6, 6), "fc1"),
    (LeNet300100(width=0.03, bias=False), (1, 6, 6), "fc2"),
    (Conv2(width=0.06), (2, 8, 8), "conv1"),
    (Conv2(width=0.06, bias=False), (2, 8, 8), "conv2"),
    (Conv2(width=0.03), (2, 8, 8), "fc1"),
    (VGG19BN(width=0.01), (3, 32, 32), "conv9"),
    (TinyConv(), (1, 4, 4), "conv1"),
    (TinyResidual(), (1, 4, 4), None),
]


def prepared(net, shape):
    model = shaken(net.build(shape, 4, seed=0))
    data = batches(9, shape, 4)
    return model, data, find_units(model, data[0][0][:2])


@pytest.mark.parametrize(
    ("net", "shape", "layer"), CASES, ids=lambda case: getattr(case, "kind", None)
)
def test_pairs_equal_the_naive_protocol(net, shape, layer):
    model, data, units = prepared(net, shape)
    layer = layer or units.names(None)[0]
    found = Removals(model, units, layer, data).pairs()
    losses, correct = found.loss, found.correct
    assert found.num_examples == 18
    for gone, (loss, right) in oracle.pairs(model, units, layer, data).items():
        if not gone:
            assert (found.full_loss, found.full_correct) == (pytest.approx(loss, rel=1e-11), right)
            continue
        i, j = gone[0], gone[-1]
        assert float(losses[i, j]) == pytest.approx(loss, rel=1e-11, abs=1e-13)
        assert int(correct[i, j]) == int(correct[j, i]) == right
    assert torch.equal(found.loss_interaction, found.loss_interaction.T)
    assert not found.loss_interaction.diagonal().any()


@pytest.mark.parametrize("layer", ["fc1", "fc2"])
def test_single_changes_are_those_of_single_removals_with_their_error(layer):
    model, data, units = prepared(LeNet300100(width=0.05), (1, 6, 6))
    removals = Removals(model, units, layer, data)
    found, singles = removals.pairs(), removals.singles()
    torch.testing.assert_close(
        found.full_loss + found.loss_change, singles.loss, rtol=1e-11, atol=1e-13
    )
    assert torch.equal(found.full_correct + found.correct_change, singles.correct)
    one = [
        (x[None], y[None]) for inputs, targets in data for x, y in zip(inputs, targets, strict=True)
    ]
    each = [Removals(model, units, layer, [example]).singles() for example in one]
    changes = torch.stack([judged.loss - judged.full_loss for judged in each])
    error = changes.std(0) / math.sqrt(len(changes))
    torch.testing.assert_close(found.loss_error, error, rtol=1e-9, atol=1e-13)
    changed = sum((judged.correct != judged.full_correct).long() for judged in each)
    assert torch.equal(found.num_changed, changed)


@pytest.mark.parametrize(
    ("net", "layer"), [(LeNet300100(width=0.04), "fc1"), (Conv2(width=0.06), "conv2")]
)
def test_units_that_are_not_kept_are_not_there(net, layer):
    model, data, units = prepared(net, (2, 8, 8))
    size = units[layer].size
    kept = torch.arange(size) % 3 != 1
    found = Removals(model, units, layer, data).pairs(kept)
    assert not found.loss_change[~kept].any() and not found.loss_interaction[~kept].any()
    singles = Removals(model, units, layer, data).singles(kept)
    torch.testing.assert_close(found.full_loss + found.loss_change, singles.loss)
    first, second = kept.nonzero()[:2, 0].tolist()
    left = kept.clone()
    left[first] = False
    without = Removals(model, units, layer, data).singles(left)
    assert float(found.loss[first, second]) == pytest.approx(float(without.loss[second]), rel=1e-11)


@pytest.mark.parametrize("size", [1, 64, 1 << 20])
def test_blocks_do_not_matter(size, monkeypatch):
    model, data, units = prepared(LeNet300100(width=0.1), (1, 6, 6))
    whole = Removals(model, units, "fc1", data).pairs()
    monkeypatch.setattr(pairwise, "ELEMENTS", size)
    parts = Removals(model, units, "fc1", data).pairs()
    assert torch.equal(whole.correct_interaction, parts.correct_interaction)
    torch.testing.assert_close(
        whole.loss_interaction, parts.loss_interaction, rtol=1e-9, atol=1e-15
    )


def halves(copies: int) -> nn.Sequential:
    """Return a network whose first unit stands there several times, each with its share of the outgoing weights."""
    generator = torch.Generator().manual_seed(3)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)).double()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
        parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    model[0].weight[1:copies] = model[0].weight[0]
    model[0].bias[:copies] = 1.0
    model[2].weight.mul_(0.2)
    model[2].bias[0] = -2.0
    model[2].weight[:, :copies] = torch.tensor([[6.0], [-3.0], [2.0], [-5.0]]) / copies
    return model


def test_two_halves_of_one_unit_have_the_largest_interaction():
    """The labels are the network's own answers, so that either half is enough for most of them."""
    model = halves(2)
    inputs = torch.randn(400, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    data = [(inputs, model(inputs).argmax(1))]
    found = Removals(model, find_units(model, inputs[:2]), "0", data).pairs()
    largest = found.loss_interaction.argmax()
    assert divmod(int(largest), 8) == (0, 1)
    assert float(found.loss_interaction[0, 1]) > 10 * float(found.loss_interaction[2:].max())
    assert int(found.correct_interaction.argmin()) == 1


def test_units_that_never_fire_together_do_not_interact():
    model = nn.Sequential(nn.Linear(1, 3, bias=False), nn.ReLU(), nn.Linear(3, 2)).double()
    model.requires_grad_(False)
    model[0].weight.copy_(torch.tensor([[1.0], [-1.0], [2.0]]))
    data = [(torch.linspace(-2, 2, 41, dtype=torch.float64)[:, None], torch.arange(41) % 2)]
    found = Removals(model, find_units(model, data[0][0][:2]), "0", data).pairs()
    assert not found.loss_interaction[1].any()
    assert float(found.loss_interaction[0, 2]) != 0


def test_where_the_loss_is_linear_in_the_layer_nothing_interacts():
    """A class that no other comes near has the loss exp(-margin); one that is hopeless has the margin as its loss."""
    model = (
        nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 2)).double().requires_grad_(False)
    )
    model[2].bias.copy_(torch.tensor([0.0, 500.0]))
    inputs = torch.randn(50, 5, dtype=torch.float64)
    data = [(inputs, torch.zeros(50, dtype=torch.int64))]
    found = Removals(model, find_units(model, inputs[:2]), "0", data).pairs()
    assert float(found.loss_change.abs().max()) > 1e-3
    assert float(found.loss_interaction.abs().max()) < 1e-12


@pytest.mark.parametrize("make", ["dense", "convolution"])
def test_without_the_only_two_units_that_fire_the_next_layer_gets_its_bias_to_the_bit(make):
    """(bias + terms) - terms is the bias but for rounding errors, and those would decide between equal classes."""
    first = (
        nn.Linear(64, 3, bias=False)
        if make == "dense"
        else nn.Conv2d(1, 3, 3, padding=1, bias=False)
    )
    model = nn.Sequential(
        *([nn.Flatten(), first] if make == "dense" else [first]),
        nn.ReLU(),
        *([] if make == "dense" else [nn.Flatten()]),
        nn.Linear(3 if make == "dense" else 192, 4),
    ).requires_grad_(False)
    first.weight.copy_(first.weight.abs())
    first.weight[1] *= -1  # inputs are positive, so the other two fire on every image
    model[-1].bias.fill_(0.5)
    generator = torch.Generator().manual_seed(1)
    data = [(torch.rand(140, 1, 8, 8, generator=generator), torch.arange(140) % 4)]
    units = find_units(model, data[0][0][:2])
    found = Removals(model, units, units.names(None)[0], data).pairs()
    assert int(found.correct[0, 2]) == 35  # all classes are equal, so every image goes to class 0
    assert float(found.loss[0, 2]) == pytest.approx(math.log(4), rel=1e-6)


def test_losses_that_an_infinite_one_makes_unknown_are_told(mlp):
    with torch.no_grad():
        mlp[4].bias[0] = -torch.inf
    data = batches(9, (6,), 3)
    with pytest.warns(UserWarning, match="8 of 8 losses after removals from `0` are NaN"):
        found = Removals(mlp, find_units(mlp, data[0][0]), "0", data).pairs()
    assert found.full_loss == math.inf
