import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from planted import TinyConv, TinyMLP, shaken
from surplus.base import CorruptFile, InvalidArgument
from surplus.edits import Edits, NotEqual, Origin, cut, load, replay_, save, sliced
from surplus.masks import Mask, enforce
from surplus.units import find_units

ACTIVATIONS = [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.ELU, nn.Softplus]


def random_mask(units, density, seed=0):
    generator = torch.Generator().manual_seed(seed)
    kept = {}
    for group in units.removable():
        kept[group.name] = torch.rand(group.size, generator=generator) < density
        kept[group.name][int(torch.randint(group.size, (1,), generator=generator))] = True
    return Mask(kept, "units", units)


@st.composite
def chains(draw):
    """Build a random chain of layers with an example of its input."""
    layers: list[nn.Module] = []
    channels, side = draw(st.integers(1, 3)), draw(st.sampled_from([4, 5, 8]))
    example = torch.randn(2, channels, side, side, dtype=torch.float64)
    for _ in range(draw(st.integers(0, 3))):
        width, kernel = draw(st.integers(1, 5)), draw(st.sampled_from([1, 3]))
        stride = draw(st.sampled_from([1, 1, 2]))
        layers.append(
            nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=draw(st.booleans()))
        )
        if draw(st.booleans()):
            layers.append(nn.BatchNorm2d(width, affine=draw(st.booleans())))
        layers.append(draw(st.sampled_from(ACTIVATIONS))())
        side = (side - 1) // stride + 1
        if side >= 2 and draw(st.booleans()):
            layers.append(draw(st.sampled_from([nn.MaxPool2d(2), nn.AvgPool2d(2)])))
            side //= 2
        channels = width
    if draw(st.booleans()):
        layers.append(nn.AdaptiveAvgPool2d(1))
        side = 1
    layers += [nn.Flatten(), nn.Identity()]
    features = channels * side * side
    for _ in range(draw(st.integers(0, 3))):
        width = draw(st.integers(1, 6))
        layers.append(nn.Linear(features, width, bias=draw(st.booleans())))
        if draw(st.booleans()):
            layers.append(nn.BatchNorm1d(width))
        layers += [draw(st.sampled_from(ACTIVATIONS))(), nn.Dropout(0.3)]
        features = width
    layers.append(nn.Linear(features, 3))
    return shaken(nn.Sequential(*layers)), example


@given(chains(), st.floats(0.1, 0.9), st.integers(0, 100))
def test_cut_equals_masked_and_replayed_equals_saved(chain, density, seed):
    model, example = chain
    units = find_units(model, example)
    mask = random_mask(units, density, seed)
    before = copy.deepcopy(model.state_dict())
    smaller, edits = cut(model, mask)
    expected = enforce(model, mask)(example)
    torch.testing.assert_close(smaller(example), expected, rtol=1e-12, atol=1e-12)
    assert all(torch.equal(before[name], each) for name, each in model.state_dict().items())
    again = copy.deepcopy(model)
    replay_(again, Edits.from_json(edits.to_json()))
    assert all(
        torch.equal(a, b)
        for a, b in zip(again.state_dict().values(), smaller.state_dict().values(), strict=True)
    )


@pytest.fixture
def conv():
    model = shaken(TinyConv().build((1, 4, 4), 3, seed=0))
    return model, torch.randn(4, 1, 4, 4, dtype=torch.float64)


def test_sizes_are_those_of_the_kept_units(conv):
    model, example = conv
    mask = Mask.full(find_units(model, example))
    mask.kept["conv1"][[0, 2]] = False
    mask.kept["conv2"][1] = False
    smaller, edits = cut(model, mask)
    assert (smaller.conv1.out_channels, smaller.bn1.num_features) == (2, 2)
    assert (smaller.conv2.in_channels, smaller.conv2.out_channels) == (2, 2)
    assert smaller.fc1.in_features == 8
    assert "in_features=8" in repr(smaller.fc1)
    assert [(kept.layer, kept.num_kept, kept.size) for kept in edits.steps[0].units] == [
        ("conv1", 2, 4),
        ("conv2", 2, 3),
        ("fc1", 5, 5),
    ]
    assert edits.steps[0].difference < 1e-12


def test_two_cuts_replay_in_order(conv, tmp_path):
    model, example = conv
    smaller, first = cut(model, random_mask(find_units(model, example), 0.7, 1))
    smallest, second = cut(smaller, random_mask(find_units(smaller, example), 0.5, 2))
    origin = Origin(net=TinyConv(), input_shape=(1, 4, 4), num_classes=3)
    save(tmp_path / "small.safetensors", smallest, first + second, origin)
    again = load(tmp_path / "small.safetensors").eval()
    assert torch.equal(again(example), smallest(example))


def test_mode_type_and_frozen_parameters_stay(conv):
    model, example = conv
    model = model.float().train()
    model.conv1.weight.requires_grad_(False)
    smaller, _ = cut(model, random_mask(find_units(model, example.float()), 0.5))
    assert smaller.training and model.training
    assert smaller.conv1.weight.dtype == torch.float32
    assert not smaller.conv1.weight.requires_grad and smaller.conv2.weight.requires_grad


def test_a_cut_model_trains(conv):
    model, example = conv
    smaller, _ = cut(model, random_mask(find_units(model, example), 0.5))
    optimizer = torch.optim.SGD(smaller.parameters(), 0.1)
    before = float(smaller(example).square().sum().detach())
    for _ in range(3):
        optimizer.zero_grad()
        smaller(example).square().sum().backward()
        optimizer.step()
    assert float(smaller(example).square().sum().detach()) < before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: Mask({"0.weight": torch.ones(8, 6, dtype=torch.bool)}, "weights"),
            "needs a mask over units",
        ),
        (
            lambda m: Mask({"0": torch.ones(8, dtype=torch.bool)}, "units"),
            "was not bound to a model",
        ),
        (lambda m: ~m, "removes all 8 units of `0`; keep at least one"),
    ],
)
def test_masks_that_cannot_be_cut_are_refused(change, message, mlp, example):
    mask = Mask.full(find_units(mlp, example))
    with pytest.raises(InvalidArgument, match=message):
        cut(mlp, change(mask))


def test_a_mask_for_another_model_changes_nothing(mlp, example):
    mask = random_mask(find_units(mlp, example), 0.5)
    other = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3)).double()
    with pytest.raises(
        InvalidArgument, match="speak of `4.weight`, which this model does not have"
    ):
        cut(other, mask)
    other.extend([nn.ReLU(), nn.Linear(3, 3).double()])
    with pytest.raises(
        InvalidArgument, match="expect `0.weight` with 8 entries along axis 0; here"
    ):
        cut(other, mask)
    assert other[0].out_features == 9


def test_a_difference_is_an_error_that_says_how_large(mlp, example, monkeypatch):
    monkeypatch.setattr("surplus.edits.verifying.enforce", lambda model, mask: copy.deepcopy(model))
    mask = random_mask(find_units(mlp, example), 0.3)
    with pytest.raises(NotEqual, match="outputs differ from the masked model's by up to"):
        cut(mlp, mask)
    cut(mlp, mask, verify=False)


def test_a_bundle_loads_into_a_fresh_model_and_leaves_that_as_it_was(tmp_path):
    model = TinyMLP().build((1, 4, 4), 3, seed=0)
    example = torch.randn(3, 1, 4, 4)
    smaller, edits = cut(model, random_mask(find_units(model, example), 0.5))
    save(tmp_path / "small.safetensors", smaller, edits)
    fresh = TinyMLP().build((1, 4, 4), 3, seed=9)
    again = load(tmp_path / "small.safetensors", into=fresh)
    assert torch.equal(again(example), smaller(example))
    assert fresh.fc1.out_features == 8
    with pytest.raises(
        InvalidArgument, match="does not say how its model is built: pass a fresh one"
    ):
        load(tmp_path / "small.safetensors")
    with pytest.raises(InvalidArgument, match="speak of `fc3.weight`, which this model does not"):
        load(tmp_path / "small.safetensors", into=TinyConv().build((1, 4, 4), 3, seed=0))


def test_a_bundle_that_does_not_fit_names_itself_and_the_tensor(tmp_path):
    save(tmp_path / "whole.safetensors", TinyMLP().build((1, 4, 4), 3, seed=0))
    other = TinyMLP(bias=False).build((1, 4, 4), 3, seed=0)
    with pytest.raises(
        InvalidArgument,
        match=r'(?s)whole\.safetensors does not fit this architecture: .*"fc1\.bias", "fc2\.bias"',
    ):
        load(tmp_path / "whole.safetensors", into=other)


def test_a_bundle_that_is_no_model_is_refused(tmp_path):
    from surplus.store import write_bundle

    write_bundle(tmp_path / "x.safetensors", {}, {"kind": "run"})
    with pytest.raises(CorruptFile, match="not that of a model"):
        load(tmp_path / "x.safetensors")


def test_tensors_named_like_parameters_are_cut_along(mlp, example):
    smaller, edits = cut(mlp, random_mask(find_units(mlp, example), 0.5))
    found = sliced({name: p.detach() for name, p in mlp.named_parameters()}, edits)
    assert all(torch.equal(found[name], p) for name, p in smaller.named_parameters())


def test_a_broken_record_is_refused():
    for data in ([{"kind": "grow"}], [{}], 3):
        with pytest.raises(InvalidArgument, match="not the JSON form of a record of edits"):
            Edits.from_json(data)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_bundle_keeps_the_type_of_its_values(dtype, tmp_path):
    model = TinyMLP().build((1, 4, 4), 3, seed=0).to(dtype)
    save(tmp_path / "m.safetensors", model)
    again = load(tmp_path / "m.safetensors", into=TinyMLP().build((1, 4, 4), 3, seed=1))
    assert again.fc1.weight.dtype == dtype
    assert torch.equal(again.fc1.weight, model.fc1.weight)
