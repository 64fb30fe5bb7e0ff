import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from planted import TinyConv, shaken
from surplus.base import InvalidArgument, UnknownName
from surplus.units import find_units, grouping


def test_every_slot_of_a_filter_is_found():
    model = TinyConv().build((1, 4, 4), 3, seed=0)
    units = find_units(model, torch.zeros(2, 1, 4, 4))
    conv1 = units["conv1"]
    assert conv1.kind == "filter"
    assert conv1.size == 4
    assert [(slot.tensor, slot.axis) for slot in conv1.slots] == [
        ("conv1.weight", 0),
        ("conv1.bias", 0),
        ("bn1.weight", 0),
        ("bn1.bias", 0),
        ("bn1.running_mean", 0),
        ("bn1.running_var", 0),
        ("conv2.weight", 1),
    ]
    assert conv1.tap is not None and conv1.tap.axis == 1


def test_a_filter_owns_its_whole_map_after_a_flatten():
    model = TinyConv().build((1, 4, 4), 3, seed=0)
    (slot,) = find_units(model, torch.zeros(2, 1, 4, 4))["conv2"].outgoing
    assert slot.index.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_units_are_what_a_perturbation_moves():
    """The referee: change one unit's output, and only its own columns of the reader's input change."""
    model = shaken(TinyConv().build((1, 4, 4), 3, seed=0))
    images = torch.randn(5, 1, 4, 4, dtype=torch.float64)
    units = find_units(model, images)
    slot = units["conv2"].outgoing[0]
    layers = list(model.named_children())
    for unit in range(3):
        changed = copy.deepcopy(model)
        with torch.no_grad():
            changed.conv2.bias[unit] += 3.0
        flats = []
        for net in (model, changed):
            value = images
            for name, _ in layers:
                if name == "fc1":
                    break
                value = getattr(net, name)(value)
            flats.append(value)
        moved = ((flats[0] - flats[1]).abs() > 0).any(0).nonzero()[:, 0].tolist()
        assert moved == slot.index[unit].tolist()


def test_weight_vectors_and_outgoing_weights(mlp, example):
    units = find_units(mlp, example)
    assert torch.equal(units.weight_vectors("0"), mlp[0].weight)
    assert torch.equal(units.outgoing("0"), mlp[2].weight.T)
    other = copy.deepcopy(mlp)
    other[0].weight.data.mul_(2)
    assert torch.equal(units.weight_vectors("0", other), 2 * mlp[0].weight)
    assert torch.equal(units.weight_vectors("0", other.state_dict()), 2 * mlp[0].weight)


def test_it_prints_as_a_table(mlp, example):
    lines = str(find_units(mlp, example)).splitlines()
    assert lines[0].split() == ["layer", "kind", "units", "incoming", "outgoing", "removable"]
    assert lines[-1].endswith("no: they are the outputs of the network")


def test_nested_chains_are_flattened():
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), nn.Linear(3, 2))
    units = find_units(model, torch.zeros(1, 4))
    assert units["0.0"].outgoing[0].tensor == "1.weight"


def test_the_model_is_left_as_it_was():
    model = TinyConv().build((1, 4, 4), 3, seed=0).train()
    model.bn1.eval()
    before = copy.deepcopy(model.state_dict())
    find_units(model, torch.ones(2, 1, 4, 4))
    assert model.training and not model.bn1.training
    assert all(torch.equal(before[name], each) for name, each in model.state_dict().items())


def test_the_example_is_left_as_it_was():
    example = -torch.ones(2, 4)
    find_units(nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2)), example)
    assert torch.equal(example, -torch.ones(2, 4))


def normed():
    return nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)), nn.ReLU(), nn.Linear(4, 2))


class Custom(nn.Linear):
    pass


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Reduced(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, x):
        return self.how(x, dim=1, keepdim=True)


class WithSpare(nn.Linear):
    def __init__(self):
        super().__init__(4, 4)
        self.spare = nn.Linear(4, 3)


@pytest.mark.parametrize(
    ("model", "name", "reason"),
    [
        (
            nn.Sequential(nn.Linear(4, 4), nn.Softmax(1), nn.Linear(4, 2)),
            "0",
            "they compete or are counted (`aten._softmax` in `1`",
        ),
        (
            nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.AvgPool1d(3, 1, 1), nn.Linear(6, 2)),
            "0",
            "they are positions that are pooled or resampled",
        ),
        (nn.Sequential(nn.Linear(4, 1), nn.ReLU(), nn.Linear(1, 2)), "0", "only one of them"),
        (
            nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), Reduced(torch.sum)),
            "0",
            "they are added up without weights (`aten.sum` in `2`",
        ),
        (
            nn.Sequential(nn.Linear(4, 4), Reduced(torch.amax)),
            "0",
            "their values are compared (`aten.amax` in `1`",
        ),
        (WithSpare(), "spare[0:3]", "the run on the example never uses this layer"),
        (normed(), "0", "take it off first with torch.nn.utils.parametrize"),
    ],
)
def test_what_cannot_be_followed_is_protected_with_its_reason(model, name, reason):
    units = find_units(model, torch.zeros(2, 4))
    assert reason in units[name].protected
    with pytest.raises(InvalidArgument, match="cannot be removed"):
        units.chosen(name)


def test_units_whose_signatures_agree_by_chance_stay_apart(monkeypatch):
    monkeypatch.setattr(grouping, "signatures", lambda atoms, roots: torch.zeros_like(roots))
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    units = find_units(model, torch.zeros(2, 4))
    hidden = [group for group in units if "only go all at once" in group.protected]
    assert [group.incoming[0].tensor for group in hidden] == ["0.weight"] * 3 + ["2.weight"] * 5
    assert [group.size for group in hidden] == [1] * 8


def tied():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    return nn.Sequential(nn.Linear(4, 4), first, nn.ReLU(), second, nn.ReLU(), nn.Linear(4, 2))


def twice():
    layer = nn.Linear(4, 4)
    return nn.Sequential(nn.Linear(4, 4), layer, nn.ReLU(), layer, nn.Linear(4, 2))


def pruned():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    prune.l1_unstructured(model[0], "weight", 0.5)
    return model


def normalised_twice():
    norm = nn.BatchNorm1d(4)
    return nn.Sequential(nn.Linear(4, 4), norm, nn.ReLU(), nn.Linear(4, 4), norm, nn.Linear(4, 2))


@pytest.mark.parametrize(
    ("model", "slots"),
    [
        (tied(), {"0.weight", "0.bias", "1.weight", "1.bias", "3.bias", "5.weight"}),
        (twice(), {"0.weight", "0.bias", "1.weight", "1.bias", "4.weight"}),
        (pruned(), {"0.weight_orig", "0.weight_mask", "0.bias", "2.weight"}),
        (
            nn.Sequential(Custom(4, 4), nn.LayerNorm(4), Custom(4, 2)),
            {"0.weight", "0.bias", "1.weight", "1.bias", "2.weight"},
        ),
        (
            nn.Sequential(nn.Linear(4, 4), nn.ReLU(), Residual(nn.Linear(4, 4)), nn.Linear(4, 2)),
            {"0.weight", "0.bias", "2.0.weight", "2.0.bias", "3.weight"},
        ),
        (
            normalised_twice(),
            {
                *("0.weight", "0.bias", "3.weight", "3.bias", "1.weight"),
                *("1.bias", "1.running_mean", "1.running_var", "5.weight"),
            },
        ),
    ],
    ids=["tied", "twice", "pruned", "layer norm", "residual", "normalised twice"],
)
def test_what_belongs_together_goes_together(model, slots):
    units = find_units(model, torch.randn(2, 4))
    (group,) = units.removable()
    assert {slot.tensor for slot in group.slots} == slots


def test_units_that_share_statistics_say_so():
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.ReLU(), nn.Linear(4, 2))
    assert "layer normalisation" in find_units(model, torch.randn(2, 4))["0"].coupled


def test_groups_of_a_convolution_lose_as_many_each():
    model = nn.Sequential(nn.Conv2d(4, 6, 1, groups=2), nn.ReLU(), nn.Conv2d(6, 2, 1))
    (constraint,) = find_units(model, torch.randn(1, 4, 3, 3))["0"].constraints
    assert constraint.blocks.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert "a grouped convolution has equal groups" in constraint.reason


def test_any_module_is_followed():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 3), nn.Linear(3, 2)

        def forward(self, x, scale):
            return {"out": self.second(torch.relu(self.first(x)) * scale)}

    units = find_units(Net(), {"x": torch.zeros(2, 4), "scale": 2.0})
    assert [group.name for group in units.removable()] == ["first"]


def test_a_layer_that_does_not_exist_lists_the_layers(mlp, example):
    with pytest.raises(UnknownName, match="There is no layer called `fc1`. Known: 0, 2, 4"):
        find_units(mlp, example)["fc1"]


def test_what_does_not_run_says_so():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.seen, self.unseen = nn.Linear(4, 2), nn.Linear(4, 3)
            self.shift = nn.Parameter(torch.ones(4))

        def forward(self, x):
            return self.seen(x + self.shift)

    units = find_units(Half(), torch.zeros(2, 4))
    assert units["unseen[0:3]"].protected == "the run on the example never uses this layer"


def residual():
    class Block(nn.Sequential):
        def forward(self, x):
            return x + super().forward(x)

    return nn.Sequential(
        nn.Linear(4, 6),
        *(Block(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 6)) for _ in range(2)),
        nn.LayerNorm(6),
        nn.Linear(6, 2),
    )


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ((), {"0", "1.0", "2.0"}),
        (("4",), {"0", "1.0", "2.0"}),  # it reads the residual stream, which is not its own
        (("1.0",), {"0", "2.0"}),
        ("1.0", {"0", "2.0"}),
        (("1.0.bias",), {"0", "2.0"}),
        (("1",), {"2.0"}),  # all of the block, and the residual stream that it adds to
        (("1.*",), {"2.0"}),
        (("*.0",), {"0"}),
        (("3",), {"1.0", "2.0"}),  # the normalisation is a part of the residual stream
        (("1.2", "2.0"), {"1.0"}),
        (("*",), set()),
    ],
)
def test_ignored_layers_stay_with_what_is_tied_to_them(ignore, left):
    units = find_units(residual(), torch.zeros(2, 4), ignore=ignore)
    assert {group.name for group in units.removable()} == left
    assert units["4"].protected == "they are the outputs of the network"
    for group in units:
        assert group.name in left or group.name == "4" or group.protected == "ignored by name"


def test_a_layer_is_ignored_by_any_of_its_names():
    """Its weight has another name, under which it was found first, and units in pieces that have names of their own."""
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    model[2].weight = model[0].weight
    assert find_units(model, torch.zeros(2, 4), ignore=("2",)).removable() == []
    embedding = nn.Embedding(5, 4)
    pair = nn.Sequential(embedding, nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 5, bias=False))
    pair[3].weight = embedding.weight
    names = [group.name for group in find_units(pair, torch.tensor([[1, 2]])).removable()]
    assert names == ["0[0:4]"]
    assert not find_units(pair, torch.tensor([[1, 2]]), ignore=("0[0:4]",)).removable()


@pytest.mark.message
def test_a_name_to_ignore_that_matches_nothing_is_an_error(mlp, example):
    message = r"There is no layer called `1.0.weights`. Known: 0, 1.0, 1.2, 2.0"
    with pytest.raises(UnknownName, match=message):
        find_units(residual(), torch.zeros(2, 4), ignore=("0", "1.0.weights"))
    with pytest.raises(UnknownName, match=r"There is no layer called `head.\*`. Known: 0, 2, 4"):
        find_units(mlp, example, ignore=("head.*",))


def test_what_is_tied_to_a_unit_is_listed(mlp, example):
    tied = find_units(residual(), torch.zeros(2, 4)).tied("0")
    assert list(zip(tied["role"], tied["tensor"], tied["axis"], strict=True)) == [
        ("computes", "0.weight", 0),
        ("computes", "1.2.weight", 0),
        ("computes", "2.2.weight", 0),
        ("carries", "0.bias", 0),
        ("carries", "1.2.bias", 0),
        ("carries", "2.2.bias", 0),
        ("carries", "3.weight", 0),
        ("carries", "3.bias", 0),
        ("reads", "1.0.weight", 1),
        ("reads", "2.0.weight", 1),
        ("reads", "4.weight", 1),
    ]
    assert set(tied["positions of a unit"]) == {1}
    with pytest.raises(UnknownName, match="There is no layer called `fc1`"):
        find_units(mlp, example).tied("fc1")


def test_an_example_that_does_not_fit_is_refused(mlp):
    with pytest.raises(
        InvalidArgument,
        match=r"does not run on an example of shape \(1, 5\) and type torch.float64: .*\(`.*` in `0`",
    ):
        find_units(mlp, torch.zeros(1, 5, dtype=torch.float64))
