"""Masks of `torch.nn.utils.prune` become masks of Surplus, over weights and over units."""

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import surplus as sp
from surplus.base import InvalidArgument
from surplus.interop import import_prune, over_units
from surplus.units import tensors_of
from zoo import build, run


def net():
    layers = [nn.Conv2d(3, 8, 3, bias=False), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)).double()


def images():
    return torch.randn(2, 3, 9, 9, dtype=torch.float64)


def pruned_everywhere():
    """Mask with every method of torch, twice on one tensor, and on a bias."""
    model = net()
    prune.ln_structured(model[0], "weight", amount=3, n=2, dim=0)
    prune.random_unstructured(model[2], "weight", amount=0.2)
    prune.ln_structured(model[2], "weight", amount=2, n=1, dim=0)
    prune.l1_unstructured(model[2], "bias", amount=1)
    mask = torch.ones_like(model[6].weight)
    mask[:, 4] = 0
    prune.custom_from_mask(model[6], "weight", mask)
    return model


def test_the_masks_are_taken_over_and_the_model_stays_as_it_was():
    model, x = pruned_everywhere(), images()
    before = {name: tensor.clone() for name, tensor in tensors_of(model).items()}
    plain, mask = import_prune(model)
    assert mask.over == "weights"
    assert set(mask.kept) == {"0.weight", "2.weight", "2.bias", "6.weight"}
    for name, kept in mask.kept.items():
        path, _, leaf = name.partition(".")
        module = model.get_submodule(path)
        assert torch.equal(kept, getattr(module, f"{leaf}_mask").bool())
        parameter = plain.get_parameter(name)
        assert torch.equal(parameter == 0, ~kept)
        assert torch.equal(parameter[kept], getattr(module, f"{leaf}_orig")[kept])
    assert dict(plain.named_buffers()) == {} and not prune.is_pruned(plain)
    assert prune.is_pruned(model)
    assert all(torch.equal(before[name], tensor) for name, tensor in tensors_of(model).items())
    assert torch.equal(plain(x), model(x))
    assert sp.enforce(plain, mask)(x).equal(model(x))
    sp.cut(plain, sp.Mask.full(sp.find_units(plain, x)))


def test_a_model_that_was_run_in_training_is_taken_over_too():
    model, x = pruned_everywhere(), images()
    model(x).sum().backward()
    plain, _ = import_prune(model)
    torch.testing.assert_close(plain(x), model(x))


@pytest.mark.filterwarnings("ignore:Removing the units")
def test_units_that_are_masked_whole_are_cut():
    model, x = pruned_everywhere(), images()
    plain, weights = import_prune(model)
    units = over_units(weights, sp.find_units(plain, x))
    assert torch.equal(units.kept["0"], model[0].weight_mask.bool().flatten(1).any(1))
    expected = model[2].weight_mask.bool().flatten(1).any(1)
    expected[4] = False  # nothing reads it
    assert torch.equal(units.kept["2"], expected)
    smaller, _ = sp.cut(plain, units)
    assert smaller[0].out_channels == 5 and smaller[2].out_channels < 5
    assert smaller(x).shape == (2, 5)


def test_where_no_bias_is_left_cutting_changes_nothing():
    model, x = net(), images()
    prune.ln_structured(model[0], "weight", amount=3, n=2, dim=0)
    reading = torch.ones_like(model[6].weight)
    reading[:, [1, 5]] = 0
    prune.custom_from_mask(model[6], "weight", reading)
    plain, weights = import_prune(model)
    smaller, _ = sp.cut(plain, over_units(weights, sp.find_units(plain, x)))
    assert (smaller[0].out_channels, smaller[6].in_features) == (5, 4)
    torch.testing.assert_close(smaller(x), model(x))


def test_a_bias_that_stays_is_told():
    model, x = net(), images()
    torch.nn.init.constant_(model[2].bias, 1.0)
    prune.ln_structured(model[2], "weight", amount=2, n=2, dim=0)
    plain, weights = import_prune(model)
    units = sp.find_units(plain, x)
    with pytest.warns(UserWarning, match=r"Removing the units of `2` changes the outputs") as told:
        mask = over_units(weights, units)
    smaller, _ = sp.cut(plain, mask)
    apart = (smaller(x) - model(x)).abs().max()
    assert f"by up to {apart:.3g}" in str(told[0].message)


def test_what_has_to_stay_is_told():
    model, x = net(), images()
    prune.ln_structured(model[6], "weight", amount=2, n=2, dim=0)
    plain, weights = import_prune(model)
    with pytest.warns(
        UserWarning, match="Masked units that have to stay: 2 of `6`, since they are the outputs"
    ):
        mask = over_units(weights, sp.find_units(plain, x))
    assert mask.sparsity == 0


def test_as_many_go_from_each_block():
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.GroupNorm(2, 8, affine=False), nn.Conv2d(8, 4, 1))
    keeping = torch.ones_like(model[0].weight)
    keeping[[0, 1, 2, 5]] = 0
    prune.custom_from_mask(model[0], "weight", keeping)
    prune.custom_from_mask(model[0], "bias", keeping[:, 0, 0, 0])
    plain, weights = import_prune(model)
    with pytest.warns(UserWarning) as told:
        mask = over_units(weights, sp.find_units(plain, torch.randn(2, 3, 4, 4)))
    assert "2 of `0`, since a group normalisation has equal groups" in str(told[0].message)
    assert mask.kept["0"].tolist() == [False, True, True, True, True, False, True, True]
    assert sp.cut(plain, mask)[0][0].out_channels == 6


def test_a_recurrent_layer_is_taken_over():
    model, example = build("spectral_lstm")
    plain, mask = import_prune(model)
    assert set(mask.kept) == {"rnn.weight_ih_l0"}
    with torch.no_grad():
        torch.testing.assert_close(run(plain, example), run(model, example))
    assert over_units(mask, sp.find_units(plain, example)).sparsity == 0


def test_global_pruning_is_taken_over():
    model, x = net(), images()
    places = [(model[0], "weight"), (model[2], "weight"), (model[6], "weight")]
    prune.global_unstructured(places, prune.L1Unstructured, amount=0.6)
    plain, mask = import_prune(model)
    assert mask.sparsity == pytest.approx(0.6, abs=1e-2)
    assert torch.equal(plain(x), model(x))


def test_a_tensor_that_is_used_elsewhere_unmasked_is_refused():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(7, 4)
            self.decode = nn.Linear(4, 7)
            self.decode.weight = self.embed.weight

        def forward(self, x):
            return self.decode(self.embed(x))

    model = Tied()
    prune.l1_unstructured(model.decode, "weight", 0.5)
    with pytest.raises(InvalidArgument, match=r"`decode.weight` is masked and .* `embed.weight`"):
        import_prune(model)


def test_what_cannot_be_taken_over_is_refused():
    with pytest.raises(InvalidArgument, match="carries no mask of torch.nn.utils.prune"):
        import_prune(net())
    model, x = pruned_everywhere(), images()
    plain, weights = import_prune(model)
    with pytest.raises(
        InvalidArgument, match="the model has no such tensor. Find the units of the"
    ):
        over_units(weights, sp.find_units(model, x))
    units = sp.find_units(plain, x)
    with pytest.raises(InvalidArgument, match="This mask is over units already"):
        over_units(sp.Mask.full(units), units)
