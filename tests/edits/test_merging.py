"""What repeats or never changes is merged exactly; the rest by what is fitted, with its error."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from surplus.base import InvalidArgument, UnknownName
from surplus.edits import StandIns, cut_, load, merge, merge_, mergeable, save, split
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
    assert removed(mergeable(find_units(model, example)), "stem") == []
    mask = without(model, "stem", 2, example=example)
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
    mask = without(model, "0", 1)
    assert removed(mergeable(mask.units), "0") == []
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


def test_rectifiers_that_are_mostly_off_are_not_taken_for_multiples():
    """Units of one input all point the same way or the opposite, and differ only in their biases."""
    for seed in range(5):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(1, 64), nn.ReLU(), nn.Linear(64, 2)).double()
        mask = mergeable(find_units(model, torch.randn(2, 1).double()))
        smaller, _ = merge(model, mask)
        inputs = 3 * torch.randn(200, 1).double()
        torch.testing.assert_close(smaller(inputs), model(inputs))


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.gate, self.second = nn.Linear(4, 6), nn.Linear(4, 1), nn.Linear(6, 2)

    def forward(self, x):
        return self.second(F.relu(self.first(x)) * torch.sigmoid(self.gate(x)))


class Twice(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.first, self.second, self.factor = nn.Linear(4, 6), nn.Linear(6, 2), factor

    def forward(self, x):
        once = F.relu(self.first(x))
        return self.second(once) + self.second(F.relu(self.first(x + 1)) * self.factor)


class AddedUp(Twice):
    def forward(self, x):
        hidden = F.relu(self.first(x))
        return self.second(hidden) + hidden.sum(1, keepdim=True)


def constant_(layer, unit=0):
    with torch.no_grad():
        layer.weight[unit], layer.bias[unit] = 0.0, 1.0


def without(model, name, *units, example=None):
    mask = Mask.full(find_units(model, torch.randn(1, 4).double() if example is None else example))
    mask.kept[name][list(units)] = False
    return mask


def test_what_the_input_scales_is_no_constant_even_if_the_example_is_a_single_input():
    model = Gated().double()
    constant_(model.first)
    mask = without(model, "first", 0)
    assert removed(mergeable(mask.units), "first") == []
    with pytest.raises(InvalidArgument, match="`second` not the same each time that it runs"):
        merge(model, mask)


def test_a_constant_is_folded_once_into_a_layer_that_runs_twice():
    model = Twice(1.0).double()
    constant_(model.first)
    mask = mergeable(find_units(model, torch.randn(3, 4).double()))
    assert removed(mask, "first") == [0]
    smaller, _ = merge(model, mask)
    inputs = torch.randn(9, 4).double()
    torch.testing.assert_close(smaller(inputs), model(inputs))
    model.factor = 0.5
    assert removed(mergeable(mask.units), "first") == []
    with pytest.raises(InvalidArgument, match="`second` not the same each time that it runs"):
        merge(model, mask)


def test_units_that_share_statistics_or_are_added_up_are_not_merged():
    norm = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 2)).double()
    added = AddedUp(1.0).double()
    for model, name, why in (
        (norm, "0", "share statistics, which change"),
        (added, "first", "added up without weights"),
    ):
        layer = model.get_submodule(name)
        with torch.no_grad():
            layer.weight[2], layer.bias[2] = layer.weight[1], layer.bias[1]
        mask = without(model, name, 2)
        assert removed(mergeable(mask.units), name) == []
        with pytest.raises(InvalidArgument, match=f"The units of `{name}` .*{why}"):
            merge(model, mask)


class ReadTwice(nn.Module):
    """What a batch norm reads is read by another layer, too."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 5, bias=False)
        self.norm, self.third = nn.BatchNorm1d(5), nn.Linear(5, 2)

    def forward(self, x):
        hidden = self.second(F.relu(self.first(x)))
        return self.third(self.norm(hidden)) + self.third(hidden)


def test_a_running_mean_takes_no_constant_if_something_else_reads_the_layer():
    model = ReadTwice().double().eval()
    constant_(model.first)
    with pytest.raises(InvalidArgument, match="taken from `norm.running_mean`.*something else"):
        merge(model, without(model, "first", 0))


def test_stand_ins_of_unknown_layers_or_without_values_are_refused():
    model, mask, stand_ins = linear_layer()
    with pytest.raises(UnknownName, match="no layer with a mask called `O`"):
        merge(model, mask, {"0": stand_ins, "O": stand_ins})
    broken = StandIns(coefficients=stand_ins.coefficients * torch.nan)
    with pytest.raises(InvalidArgument, match="stand-ins of `0` are not finite"):
        merge(model, mask, {"0": broken})


def test_what_is_mergeable_is_asked_of_the_model_as_it_is():
    model, mask, _ = linear_layer()
    with pytest.raises(InvalidArgument, match=r"`tolerance` is nan; .* in \[0, 1\)"):
        mergeable(mask.units, float("nan"))
    cut_(model, mask)
    with pytest.raises(InvalidArgument, match="found on another model"):
        mergeable(mask.units)


def test_many_equal_units_are_merged():
    model = nn.Sequential(nn.Linear(400, 300), nn.ReLU(), nn.Linear(300, 2)).double()
    nn.init.constant_(model[0].weight, 0.1)
    nn.init.constant_(model[0].bias, 0.1)
    mask = mergeable(find_units(model, torch.randn(4, 400).double()))
    assert int(mask.kept["0"].sum()) == 1
