"""Exact ablation equals masking and running the network again: in float64 to the last hit."""

import math

import pytest
import torch
from torch import nn

import oracles.removals as oracle
from planted import TinyConv, batches, shaken
from surplus.base import InvalidArgument
from surplus.masks import Mask, enforce
from surplus.nets import VGG19BN, AlexNetSmall, Conv2, LeNet300100
from surplus.passes import Removals, dense, performance, sparse
from surplus.units import find_units

CASES = [
    (LeNet300100(width=0.05), (1, 6, 6), "fc1"),
    (LeNet300100(width=0.05), (1, 6, 6), "fc2"),
    (LeNet300100(width=0.05, bias=False), (1, 6, 6), "fc1"),
    (LeNet300100(width=0.05, bias=False), (1, 6, 6), "fc2"),
    (Conv2(width=0.06), (2, 8, 8), "conv1"),
    (Conv2(width=0.06), (2, 8, 8), "conv2"),
    (Conv2(width=0.06, bias=False), (2, 8, 8), "conv2"),
    (Conv2(width=0.03), (2, 8, 8), "fc1"),
    (VGG19BN(width=0.02), (3, 32, 32), "conv16"),
    (VGG19BN(width=0.02), (3, 32, 32), "conv9"),
    (AlexNetSmall(width=0.06), (3, 8, 8), "conv1"),
    (TinyConv(), (1, 4, 4), "conv1"),
]


def prepared(net, shape):
    model = shaken(net.build(shape, 4, seed=0))
    if not getattr(net, "bias", True):
        for module in model:
            if isinstance(module, nn.Linear | nn.Conv2d):
                assert module.bias is None
    data = batches(9, shape, 4)
    return model, data, find_units(model, data[0][0][:2])


@pytest.mark.parametrize(
    ("net", "shape", "layer"), CASES, ids=lambda case: getattr(case, "kind", None)
)
def test_along_any_order_it_equals_the_naive_protocol(net, shape, layer):
    model, data, units = prepared(net, shape)
    size = units[layer].size
    orders = torch.stack(
        [torch.randperm(size, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    )
    curves = Removals(model, units, layer, data).along(orders)
    for place, order in enumerate(orders.tolist()):
        losses, correct = oracle.curve(model, units, layer, data, order)
        assert curves.correct[place].tolist() == correct
        assert curves.loss[place].tolist() == pytest.approx(losses, rel=1e-11, abs=1e-13)
    assert curves.num_examples == 18


@pytest.mark.parametrize(
    ("net", "shape", "layer"), CASES, ids=lambda case: getattr(case, "kind", None)
)
@pytest.mark.parametrize("share", [None, 0.6, "one"])
def test_single_removals_equal_the_naive_protocol(net, shape, layer, share):
    model, data, units = prepared(net, shape)
    size = units[layer].size
    kept = torch.ones(size, dtype=torch.bool)
    if share == "one":
        kept[1:] = False
    elif share is not None:
        kept = torch.rand(size, generator=torch.Generator().manual_seed(4)) < share
    singles = Removals(model, units, layer, data).singles(kept)
    full = oracle.judged(enforce(model, Mask({layer: kept}, "units", units)), data)
    assert (singles.full_correct, singles.full_loss) == (full[1], pytest.approx(full[0], rel=1e-11))
    for unit in range(size):
        left = kept.clone()
        left[unit] = False
        loss, correct = oracle.judged(enforce(model, Mask({layer: left}, "units", units)), data)
        assert int(singles.correct[unit]) == correct
        assert float(singles.loss[unit]) == pytest.approx(loss, rel=1e-11, abs=1e-13)


def test_in_float32_at_most_one_image_in_ten_thousand_differs():
    torch.manual_seed(0)
    model = LeNet300100(width=0.2).build((1, 10, 10), 10, seed=0)
    data = [(torch.randn(5000, 1, 10, 10), torch.randint(0, 10, (5000,))) for _ in range(2)]
    units = find_units(model, data[0][0][:2])
    order = torch.randperm(60)
    curves = Removals(model, units, "fc1", data).along(order[None])
    mask = Mask.full(units, ("fc1",))
    for removed in range(61):
        if removed:
            mask.kept["fc1"][order[removed - 1]] = False
        naive = performance(enforce(model, mask), data)
        assert abs(int(curves.correct[0, removed]) - naive.num_correct) <= 1
        assert float(curves.loss[0, removed]) == pytest.approx(naive.loss, abs=2e-6)


def test_equal_outputs_go_to_the_lowest_class():
    """Without biases the empty layer gives all zeros: every label but 0 is wrong there."""
    model = LeNet300100(width=0.02, bias=False).build((1, 4, 4), 5, seed=0)
    data = [(torch.randn(50, 1, 4, 4), torch.arange(50) % 5)]
    units = find_units(model, data[0][0][:2])
    for layer in ("fc1", "fc2"):
        curves = Removals(model, units, layer, data).along(torch.arange(units[layer].size)[None])
        assert int(curves.correct[0, -1]) == 10


def read_by_dense():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 64, 4)
    )


def read_by_convolution():
    """Return a net whose output weights cancel out where all of the second layer emits one value."""
    out = nn.Linear(2 * 64, 4, bias=False)
    signs = [[1.0 - 2 * (place >> row & 1) for place in range(128)] for row in range(4)]
    out.weight.data.copy_(torch.tensor(signs))
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(3, 2, 3, padding=1),
        nn.Flatten(),
        out,
    )


def dense_read_by_dense():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3, bias=False), nn.ReLU(), nn.Linear(3, 4))


@pytest.mark.parametrize("make", [read_by_dense, read_by_convolution, dense_read_by_dense])
def test_without_the_only_unit_that_fires_the_next_layer_gets_its_bias_to_the_bit(make):
    """(bias + term) - term is the bias but for rounding errors, and those would decide between equal classes."""
    model = make().requires_grad_(False)
    layer, reader = [each for each in model.named_children() if hasattr(each[1], "weight")][:2]
    alone = 1
    layer[1].weight.copy_(-layer[1].weight.abs())  # inputs are positive, so these units are silent,
    layer[1].weight[alone] *= -1  # and this one fires on every image
    reader[1].bias.fill_(0.5)
    generator = torch.Generator().manual_seed(1)
    data = [(torch.rand(140, 1, 8, 8, generator=generator), torch.arange(140) % 4)]
    singles = Removals(model, find_units(model, data[0][0][:2]), layer[0], data).singles()
    assert (
        int(singles.correct[alone]) == 35
    )  # all classes are equal, so every image goes to class 0
    assert float(singles.loss[alone]) == pytest.approx(math.log(4), rel=1e-6)
    assert singles.full_loss != pytest.approx(math.log(4), rel=1e-3)
    for other in (0, 2):
        assert int(singles.correct[other]) == singles.full_correct


def test_undefined_outputs_are_never_right(mlp):
    with torch.no_grad():
        mlp[4].bias[1] = float("nan")
    data = batches(9, (6,), 3)
    units = find_units(mlp, data[0][0])
    with pytest.warns(UserWarning, match="9 of 9 losses after removals from `0` are NaN"):
        curves = Removals(mlp, units, "0", data).along(torch.arange(8)[None])
    assert not curves.correct.any()


def test_losses_that_an_infinite_one_makes_unknown_are_told(mlp):
    with torch.no_grad():
        mlp[4].bias[0] = -torch.inf  # the loss of every example of class 0 is infinite
    data = batches(9, (6,), 3)
    units = find_units(mlp, data[0][0])
    removals = Removals(mlp, units, "0", data)
    with pytest.warns(UserWarning, match="8 of 9 losses after removals from `0` are NaN: on some"):
        curves = removals.along(torch.arange(8)[None])
    assert curves.loss[0].isnan().sum() == 8
    assert curves.correct[0].tolist() == oracle.curve(mlp, units, "0", data, list(range(8)))[1]
    with pytest.warns(UserWarning, match="from `0` are NaN"):
        removals.singles()


def test_the_model_stays_free_and_unchanged(mlp, example):
    mlp.train()
    data = batches(9, (6,), 3)
    removals = Removals(mlp, find_units(mlp, example), "0", data)
    before = removals.singles().loss
    with torch.no_grad():
        mlp[2].weight.zero_()
    assert torch.equal(removals.singles().loss, before)
    assert mlp.training and all(parameter.requires_grad for parameter in mlp.parameters())


def test_blocks_and_steps_do_not_matter(monkeypatch):
    model, data, units = prepared(LeNet300100(width=0.1), (1, 6, 6))
    order = torch.randperm(30)[None]
    whole = Removals(model, units, "fc1", data).along(order)
    monkeypatch.setattr(sparse, "BLOCK", 4)
    monkeypatch.setattr(sparse, "STEPS", 3)
    parts = Removals(model, units, "fc1", data).along(order)
    assert torch.equal(whole.correct, parts.correct)
    torch.testing.assert_close(whole.loss, parts.loss, rtol=1e-12, atol=0)


def test_what_does_not_fit_memory_is_computed_anew(monkeypatch):
    model, data, units = prepared(Conv2(width=0.06), (2, 8, 8))
    order = torch.arange(units["conv2"].size)[None]
    held = Removals(model, units, "conv2", data)
    monkeypatch.setattr(dense, "HELD", 0)
    streamed = Removals(model, units, "conv2", data)
    assert torch.equal(held.along(order).loss, streamed.along(order).loss)
    assert torch.equal(held.singles().loss, streamed.singles().loss)


@pytest.mark.message
@pytest.mark.parametrize("order", [[0, 1, 2], [0, 1, 2, 3, 4, 5, 6, 6], [[0]]])
def test_an_order_that_is_no_permutation_is_refused(order, mlp, example):
    removals = Removals(mlp, find_units(mlp, example), "0", batches(3, (6,), 3))
    with pytest.raises(InvalidArgument, match="must be a permutation of the 8 units"):
        removals.along(torch.tensor([order]))


def test_data_that_are_used_up_are_named(mlp, example):
    empty = iter(batches(3, (6,), 3)[:0])
    with pytest.raises(InvalidArgument, match="holds no examples .*pass a list"):
        Removals(mlp, find_units(mlp, example), "0", empty)


@pytest.mark.message
@pytest.mark.parametrize(
    ("data", "given"),
    [
        (torch.zeros(4, 6), r"a tensor of shape \(6,\)"),
        ([torch.zeros(4, 6)], r"a tensor of shape \(4, 6\)"),
        ([(torch.zeros(4, 6),)], r"a tuple of \(Tensor\)"),
        ([(torch.zeros(4, 6), 3)], r"a tuple of \(Tensor, int\)"),
        ([{"x": torch.zeros(4, 6)}], "a dict"),
    ],
)
def test_data_that_are_no_pairs_are_refused(data, given, mlp, example):
    message = rf"`data` yields {given}; it must yield \(inputs, targets\) pairs of tensors: pass"
    with pytest.raises(InvalidArgument, match=message):
        Removals(mlp, find_units(mlp, example), "0", data)
