"""What repeats or never changes is merged exactly; the rest by what is fitted, with its error."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from surplus.base import InvalidArgument
from surplus.edits import StandIns, load, merge, merge_, mergeable, save, split
from surplus.masks import Mask
from surplus.units import find_units, tensors_of
from zoo import build


class Net(nn.Module):
    """Convolutions with and without batch norm and padding, a residual sum, and a head."""

    def __init__(self, padding=0, norm=True):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.conv = nn.Conv2d(6, 8, 3, padding=padding, bias=not norm)
        self.second = nn.BatchNorm2d(8) if norm else nn.Identity()
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = F.relu(self.norm(self.stem(x)))
        x = F.relu(self.second(self.conv(x)))
        return self.head(x.amax((2, 3)))


def prepared(**settings):
    torch.manual_seed(0)
    model = Net(**settings).double().eval()
    with torch.no_grad():
        for tensor in tensors_of(model).values():
            if tensor.is_floating_point():
                tensor.copy_(torch.randn_like(tensor))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.abs_().add_(0.1)
    return model, torch.randn(4, 3, 9, 9).double()


def repeat_(model, one, other, factor=1.0):
    """Make one filter of the stem a repetition of another."""
    with torch.no_grad():
        model.stem.weight[other] = model.stem.weight[one]
        model.stem.bias[other] = model.stem.bias[one]
        for tensor in (model.norm.running_mean, model.norm.running_var):
            tensor[other] = tensor[one]
        for tensor in (model.norm.weight, model.norm.bias):
            tensor[other] = factor * tensor[one]


def removed(mask, name):
    return mask.removed_index(name).tolist()


def test_repeated_filters_are_merged_exactly(tmp_path):
    model, example = prepared()
    repeat_(model, 1, 4)
    repeat_(model, 1, 5, factor=2.5)
    mask = mergeable(find_units(model, example))
    assert removed(mask, "stem") == [4, 5] and removed(mask, "conv") == []
    smaller, edits = merge(model, mask)
    assert smaller.stem.out_channels == 4 and edits.steps[0].verb == "merge"
    torch.testing.assert_close(smaller(example), model(example), rtol=1e-11, atol=1e-11)
    other = torch.randn(7, 3, 12, 12).double()
    torch.testing.assert_close(smaller(other), model(other), rtol=1e-11, atol=1e-11)
    save(tmp_path / "merged", smaller, edits)
    again = load(tmp_path / "merged", into=Net().double()).eval()
    assert torch.equal(again(other), smaller(other))


def test_a_negative_multiple_is_no_repetition_behind_a_rectifier():
    model, example = prepared()
    repeat_(model, 1, 4, factor=-1.0)
    assert removed(mergeable(find_units(model, example)), "stem") == []


def test_filters_that_differ_only_in_their_normalisation_are_no_repetition():
    model, example = prepared()
    repeat_(model, 1, 4)
    with torch.no_grad():
        model.norm.bias[4] += 0.5
    assert removed(mergeable(find_units(model, example)), "stem") == []


@pytest.mark.parametrize("norm", [True, False])
def test_a_constant_goes_into_the_bias_or_the_mean_of_the_norm_behind(norm):
    model, example = prepared(norm=norm)
    with torch.no_grad():
        model.stem.weight[2] = 0.0
        model.norm.bias[2] = 3.0
    mask = mergeable(find_units(model, example))
    assert removed(mask, "stem") == [2]
    smaller, edits = merge(model, mask)
    assert edits.steps[0].difference < 1e-12
    other = torch.randn(7, 3, 12, 12).double()
    torch.testing.assert_close(smaller(other), model(other), rtol=1e-11, atol=1e-11)
    target = smaller.second.running_mean if norm else smaller.conv.bias
    assert not torch.equal(target, model.second.running_mean if norm else model.conv.bias)


def test_a_constant_is_not_folded_across_borders_of_zeros():
    model, example = prepared(padding=1)
    with torch.no_grad():
        model.stem.weight[2] = 0.0
        model.norm.bias[2] = 3.0
    mask = mergeable(find_units(model, example))
    with pytest.raises(InvalidArgument, match="not the same at all positions, as at borders"):
        merge(model, mask)
    with torch.no_grad():
        model.norm.bias[2] = -3.0
        model.norm.running_mean[2] = model.stem.bias[2]
    smaller, _ = merge(model, mask)  # a dead unit emits nothing, so nothing is missing at borders
    torch.testing.assert_close(smaller(example), model(example), rtol=1e-11, atol=1e-11)


def test_a_constant_needs_a_bias():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2, bias=False)).double()
    with torch.no_grad():
        model[0].weight[1], model[0].bias[1] = 0.0, 2.0
    mask = mergeable(find_units(model, torch.randn(8, 4).double()))
    with pytest.raises(InvalidArgument, match="`2`, which has no bias, nor a batch norm after it"):
        merge(model, mask)


def test_what_nothing_stands_in_for_is_named():
    model, example = prepared()
    units = find_units(model, example)
    mask = Mask.full(units)
    mask.kept["stem"][[0, 3]] = False
    with pytest.raises(
        InvalidArgument, match="2 of the 2 units that the mask removes from `stem` neither repeat"
    ):
        merge(model, mask)


def linear_layer():
    """A layer of which two units are combinations of the others, and a constant."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 3)).double()
    mix = torch.randn(2, 4).double()
    with torch.no_grad():
        model[0].weight[4:] = mix @ model[0].weight[:4]
    units = find_units(model, torch.randn(8, 4).double())
    mask = Mask.full(units)
    mask.kept["0"][4:] = False
    constants = model[0].bias[4:] - mix @ model[0].bias[:4]
    return model, mask, StandIns(coefficients=mix, constants=constants.detach())


def test_linear_combinations_and_constants_that_are_given():
    model, mask, stand_ins = linear_layer()
    smaller, edits = merge(model, mask, {"0": stand_ins})
    assert edits.steps[0].difference < 1e-12
    inputs = torch.randn(5, 4).double()
    torch.testing.assert_close(smaller(inputs), model(inputs), rtol=1e-11, atol=1e-11)


def test_stand_ins_of_another_shape_are_refused():
    model, mask, stand_ins = linear_layer()
    wrong = StandIns(coefficients=stand_ins.coefficients[:1])
    with pytest.raises(InvalidArgument, match=r"has to have shape \(2, 4\)"):
        merge(model, mask, {"0": wrong})
    with pytest.raises(InvalidArgument, match="`stand_ins` says nothing of that layer"):
        merge(model, mask, {})


@pytest.mark.parametrize("name", ["resnet18", "vit", "lstm", "mobilenet_v2", "glu_mlp", "yolo_c2f"])
def test_what_is_split_is_merged_back(name):
    model, example = build(name)
    units = find_units(model, example)
    group = next(g for g in units.removable() if g.coupled is None and not g.constraints)
    larger, edits = split(model, units, {group.name: [1, 1, 0]})
    assert edits.steps[0].difference <= 1e-9
    found = find_units(larger, example)
    place = [each.name for each in units].index(group.name)
    mask = mergeable(found)
    name = list(found)[place].name
    assert len(removed(mask, name)) == 3
    smaller, _ = merge(larger, Mask({name: mask.kept[name]}, "units", found))
    for key, tensor in tensors_of(smaller).items():
        torch.testing.assert_close(tensor, tensors_of(model)[key], rtol=1e-9, atol=1e-10)


def test_merging_in_place_keeps_every_parameter():
    model, example = prepared()
    repeat_(model, 1, 4)
    before = model(example)
    identities = [id(p) for p in model.parameters()]
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    merge_(model, mergeable(find_units(model, example)), optimizer=optimizer)
    assert [id(p) for p in model.parameters()] == identities
    torch.testing.assert_close(model(example), before, rtol=1e-11, atol=1e-11)
    model(example).sum().backward()
    optimizer.step()
