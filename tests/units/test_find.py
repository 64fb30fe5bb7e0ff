import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from planted import TinyConv, shaken
from surplus.base import InvalidArgument, UnknownName
from surplus.units import find_units


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
    assert conv1.activation == "relu1"


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


def tied():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Linear(4, 2))


def twice():
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(4, 2))


def pruned():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    prune.l1_unstructured(model[0], "weight", 0.5)
    return model


def normed():
    return nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)), nn.ReLU(), nn.Linear(4, 2))


class Custom(nn.Linear):
    pass


@pytest.mark.parametrize(
    ("model", "name", "reason"),
    [
        (tied(), "0", "`0` shares its parameters with another layer"),
        (twice(), "0", "`0` runs more than once"),
        (pruned(), "0", "computed from other parameters"),
        (normed(), "0", "which is not known to be a plain layer"),
        (
            nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2)),
            "0",
            "through `1` (LayerNorm)",
        ),
        (nn.Sequential(Custom(4, 4), nn.ReLU(), nn.Linear(4, 2)), "0", "`0` is a Custom"),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU(), Custom(4, 2)), "0", "through `2` (Custom)"),
        (
            nn.Sequential(nn.Linear(4, 4), nn.Softmax(1), nn.Linear(4, 2)),
            "0",
            "through `1` (Softmax)",
        ),
    ],
)
def test_what_cannot_be_followed_is_protected_with_its_reason(model, name, reason):
    units = find_units(model, torch.zeros(2, 4))
    assert reason in units[name].protected
    assert units[name].outgoing == ()
    with pytest.raises(InvalidArgument, match="cannot be removed"):
        units.chosen(name)


def test_grouped_convolutions_and_sequences_are_protected():
    grouped = nn.Sequential(nn.Conv2d(4, 4, 1, groups=2), nn.ReLU(), nn.Conv2d(4, 2, 1))
    assert "grouped convolution" in find_units(grouped, torch.zeros(1, 4, 3, 3))["0"].protected
    dense = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    assert "input with 3 axes" in find_units(dense, torch.zeros(1, 5, 4))["0"].protected


def test_a_chain_with_a_forward_of_its_own_is_no_chain():
    class Residual(nn.Sequential):
        def forward(self, x):
            return x + super().forward(x)

    inner = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), Residual(nn.Linear(4, 4)), nn.Linear(4, 2))
    assert "through `2` (Residual)" in find_units(inner, torch.zeros(1, 4))["0"].protected
    with pytest.raises(InvalidArgument, match="Residual is not a chain of layers"):
        find_units(Residual(nn.Linear(4, 4)), torch.zeros(1, 4))


def test_a_normalisation_that_serves_two_layers_protects_them():
    norm = nn.BatchNorm1d(4)
    model = nn.Sequential(nn.Linear(4, 4), norm, nn.ReLU(), nn.Linear(4, 4), norm, nn.Linear(4, 2))
    assert "`1` runs more than once" in find_units(model, torch.zeros(2, 4))["0"].protected


def test_statistics_of_the_batch_protect():
    norm = nn.BatchNorm1d(4, track_running_stats=False)
    model = nn.Sequential(nn.Linear(4, 4), norm, nn.ReLU(), nn.Linear(4, 2))
    assert "statistics from the batch" in find_units(model, torch.zeros(2, 4))["0"].protected


def test_pooling_along_the_units_protects():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.AvgPool1d(3, 1, 1), nn.Linear(6, 2))
    assert "through `2` (AvgPool1d)" in find_units(model, torch.zeros(2, 4))["0"].protected


def test_an_example_without_a_batch_is_refused():
    model = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 2, 3))
    with pytest.raises(InvalidArgument, match=r"has no batch axis; use `example\[None\]`"):
        find_units(model, torch.zeros(3, 8, 8))


def test_a_layer_that_does_not_exist_lists_the_layers(mlp, example):
    with pytest.raises(UnknownName, match="There is no layer called `fc1`. Known: 0, 2, 4"):
        find_units(mlp, example)["fc1"]


def test_a_network_that_is_no_chain_is_refused():
    class Net(nn.Module):
        pass

    with pytest.raises(InvalidArgument, match=r"Net is not a chain of layers: .* Wrap the layers"):
        find_units(Net(), torch.zeros(1, 4))


def test_an_example_that_does_not_fit_is_refused(mlp):
    with pytest.raises(
        InvalidArgument, match=r"does not run on an example of shape \(1, 5\) .* layer `0`"
    ):
        find_units(mlp, torch.zeros(1, 5, dtype=torch.float64))
