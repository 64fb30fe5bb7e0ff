"""Models whose weights are computed, by hooks or parametrisations: they are cut like others, or refused by name."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize, prune, weight_norm

import surplus as sp
from surplus.base import InvalidArgument
from surplus.masks import Scores
from surplus.units import tensors_of
from zoo import ZOO, build, run

NAMES = (
    "prune_mask",
    "prune_depthwise",
    "spectral_norm",
    "spectral_norm_by_hook",
    "parametrised",
    "orthogonal",
    "spectral_lstm",
)


def half(units):
    generator = torch.Generator().manual_seed(0)
    values = {
        group.name: torch.rand(group.size, generator=generator) for group in units.removable()
    }
    return sp.keep(Scores(values, "units", units), 0.5)


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_into_a_fresh_model(name, tmp_path):
    model, example = build(name)
    smaller, edits = sp.cut(model, half(sp.find_units(model, example)))
    sp.save(tmp_path / "small.safetensors", smaller, edits)
    fresh = ZOO[name]()[0].eval()
    before = {key: value.clone() for key, value in fresh.state_dict().items()}
    again = sp.load(tmp_path / "small.safetensors", into=fresh)
    with torch.no_grad():
        torch.testing.assert_close(run(again, example), run(smaller, example), rtol=0, atol=0)
    assert all(torch.equal(before[key], value) for key, value in fresh.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_it_expands_to_the_original_architecture(name):
    model, example = build(name)
    smaller, edits = sp.cut(model, half(sp.find_units(model, example)))
    whole = sp.expand(smaller, edits)
    shapes = {key: value.shape for key, value in tensors_of(whole).items()}
    assert shapes == {key: value.shape for key, value in tensors_of(model).items()}
    with torch.no_grad():
        torch.testing.assert_close(run(whole, example), run(smaller, example))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_cut_in_place_and_trains_on(name):
    model, example = build(name)
    optimizer = torch.optim.Adam(model.parameters())

    def step():
        model.train()
        run(model, example).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    parameters = list(model.parameters())
    size = sum(each.numel() for each in parameters)
    sp.cut_(model, half(sp.find_units(model, example)), optimizer)
    assert all(one is other for one, other in zip(parameters, model.parameters(), strict=True))
    assert sum(each.numel() for each in parameters) < size
    before = [each.detach().clone() for each in parameters]
    step()
    moved = [not torch.equal(*pair) for pair in zip(before, parameters, strict=True)]
    assert sum(moved) > len(moved) / 2


@pytest.mark.parametrize("name", NAMES)
def test_modules_hold_the_sizes_of_what_they_compute(name):
    model, example = build(name)
    smaller, _ = sp.cut(model, half(sp.find_units(model, example)))
    narrower = 0
    for path, module in smaller.named_modules():
        if isinstance(module, nn.Linear):
            with torch.no_grad():
                assert (module.out_features, module.in_features) == tuple(module.weight.shape)
            old = model.get_submodule(path)
            narrower += module.in_features < old.in_features
    assert narrower


def test_masked_weights_count_as_zero():
    """A unit that torch's pruning masked is worth nothing, whatever its stored weights are."""
    model, example = build("prune_mask")
    units = sp.find_units(model, example)
    assert [group.name for group in units.removable()] == ["0", "2"]
    masked = ~model[2].weight_mask.bool().any(1)
    assert masked.sum() == 3
    weight = (model[2].weight_orig * model[2].weight_mask).detach()
    values = sp.score(model, units, by=sp.scores.Magnitude()).values["2"]
    assert torch.equal(values == 0, masked)
    torch.testing.assert_close(values, weight.norm(dim=1))
    outgoing = sp.score(model, units, by=sp.scores.OutgoingNorm()).values["0"]
    torch.testing.assert_close(outgoing, weight.norm(dim=0))


def test_a_weight_norm_is_refused_with_the_way_to_take_it_off():
    with pytest.warns(FutureWarning):
        by_hook = nn.Sequential(weight_norm(nn.Linear(4, 6)), nn.ReLU(), nn.Linear(6, 2))
    with pytest.raises(InvalidArgument) as raised:
        sp.find_units(by_hook, torch.randn(2, 4)).chosen("0")
    assert "The units of `0` cannot be removed: a weight normalisation" in str(raised.value)
    assert "or remove_weight_norm for that of hooks" in str(raised.value)
    nn.utils.remove_weight_norm(by_hook[0])
    assert sp.find_units(by_hook, torch.randn(2, 4)).chosen("0").size == 6
    model, example = build("weight_norm")
    with pytest.raises(InvalidArgument, match=r"in `conv1.parametrizations.weight.0`"):
        sp.find_units(model, example).chosen("conv1")
    for name in ("conv1", "conv2", "fc"):
        parametrize.remove_parametrizations(model.get_submodule(name), "weight")
    assert len(sp.find_units(model, example).removable()) == 3


def test_a_parametrisation_that_cannot_follow_is_named():
    model, example = build("orthogonal")
    with pytest.raises(InvalidArgument, match=r"in `2`, parametrised with _Orthogonal"):
        sp.find_units(model, example).chosen("0")


class UnitRows(nn.Module):
    def forward(self, weight):
        return weight / weight.norm(dim=1, keepdim=True)


def test_a_parametrisation_that_has_no_value_at_zero_is_named():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    parametrize.register_parametrization(model[0], "weight", UnitRows())
    units = sp.find_units(model, torch.randn(2, 4))
    with pytest.raises(InvalidArgument, match=r"\(`0` is parametrised with UnitRows\)"):
        sp.cut(model, half(units))


def test_attention_whose_projection_is_pruned_stays():
    """Its output projection is read past the hook that would compute it, so nothing there can follow."""
    model = nn.Sequential()
    model.attention = nn.MultiheadAttention(8, 2, batch_first=True)
    prune.l1_unstructured(model.attention, "in_proj_weight", 0.3)
    prune.l1_unstructured(model.attention.out_proj, "weight", 0.3)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Linear(5, 8)
            self.attention = model.attention
            self.head = nn.Linear(8, 3)

        def forward(self, x):
            x = self.embed(x)
            return self.head(self.attention(x, x, x)[0].mean(1))

    assert sp.find_units(Net().eval(), torch.randn(2, 4, 5)).removable() == []


def test_rows_and_columns_of_a_triangle_go_together():
    class Net(nn.Module):
        def __init__(self, rows, columns):
            super().__init__()
            self.first = nn.Linear(4, columns)
            self.mixing = nn.Parameter(torch.randn(rows, columns))
            self.last = nn.Linear(rows, 3)

        def forward(self, x):
            return self.last(torch.relu(self.first(x)) @ self.mixing.tril().T)

    units = sp.find_units(Net(6, 6), torch.randn(2, 4))
    tensors = {slot.tensor for slot in units["first"].slots}
    assert {"first.weight", "mixing", "last.weight"} <= tensors
    smaller, _ = sp.cut(units.model, half(units))
    assert smaller.mixing.shape == (3, 3)
    units = sp.find_units(Net(5, 6), torch.randn(2, 4))
    assert "a triangle is taken of them" in units["first"].protected
