from functools import partial

import pytest
import torch
from torch import nn

from surplus.base import InvalidArgument
from surplus.edits import factorise, insert, insert_, load, save
from surplus.units import find_units
from zoo import build


@pytest.mark.parametrize(
    ("name", "kind", "kernel_size", "activation"),
    [
        ("resnet18", nn.ReLU, 3, "relu"),
        ("resnet18", nn.BatchNorm2d, 1, "none"),
        ("vgg_bn", nn.ReLU, 3, "relu"),
        ("vit", nn.LayerNorm, 1, "none"),
        ("vit", nn.GELU, 1, "none"),
        ("swin", nn.LayerNorm, 1, "none"),
    ],
)
def test_a_new_layer_changes_nothing_at_first(name, kind, kernel_size, activation, tmp_path):
    model, example = build(name)
    units = find_units(model, example)
    state = torch.get_rng_state()
    paths = [path for path, module in model.named_modules() if isinstance(module, kind)]
    deeper, edits = insert(model, units, paths[0], kernel_size, activation)
    assert edits.steps[0].difference <= 1e-12
    assert torch.equal(torch.get_rng_state(), state)
    assert len(list(deeper.parameters())) == len(list(model.parameters())) + 2
    save(tmp_path / "deeper", deeper, edits)
    again = load(tmp_path / "deeper", into=model)
    assert all(
        torch.equal(one, other)
        for one, other in zip(again.parameters(), deeper.parameters(), strict=True)
    )


def mlp():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    return model, torch.randn(8, 4).double()


def test_the_new_units_can_be_cut_and_trained():
    model, example = mlp()
    deeper, _ = insert(model, find_units(model, example), "1", activation="relu")
    units = find_units(deeper, example)
    assert [group.name for group in units.removable()] == ["0", "1.1"]
    deeper(example).sum().backward()
    assert deeper[1][1].weight.grad.any()


@pytest.mark.parametrize(
    ("after", "settings", "message"),
    [
        ("0", {"activation": "relu"}, "has to follow a module that gives nothing negative"),
        ("1", {"kernel_size": 3}, "that of a linear layer 1"),
        ("1", {"kernel_size": 2}, "is odd"),
    ],
)
def test_what_would_change_the_function_is_refused(after, settings, message):
    model, example = mlp()
    with pytest.raises(InvalidArgument, match=message):
        insert(model, find_units(model, example), after, **settings)


def test_a_module_without_a_tensor_is_refused():
    model, example = build("lstm")
    name = next(path for path, each in model.named_modules() if isinstance(each, nn.LSTM))
    with pytest.raises(InvalidArgument, match="gives no single tensor"):
        insert(model, find_units(model, example), name)


def test_in_place_the_optimiser_trains_the_new_layer():
    model, example = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    insert_(model, find_units(model, example), "1", activation="relu", optimizer=optimizer)
    before = model[1][1].weight.clone()
    model(example).sum().backward()
    optimizer.step()
    assert not torch.equal(before, model[1][1].weight)


def test_a_rectifier_is_refused_behind_what_is_negative_on_other_inputs():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    nn.init.constant_(model[0].bias, 9.0)
    with pytest.raises(InvalidArgument, match="gives nothing negative; `0`"):
        insert(model, find_units(model, torch.zeros(1, 4)), "0", activation="relu")


class Reused(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(4, 6), nn.Linear(6, 5), nn.Linear(5, 2)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.third(self.relu(self.second(self.relu(self.first(x)))))


def test_a_module_that_gives_other_widths_each_time_is_refused():
    model = Reused()
    with pytest.raises(InvalidArgument, match="`relu` runs 2 times and gives 5 and 6 units"):
        insert(model, find_units(model, torch.randn(2, 4)), "relu")


def test_a_layer_whose_weight_is_read_without_calling_it_is_refused():
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1).eval()
    units = find_units(model, torch.randn(2, 3, 8))
    name = "layers.0.linear1"
    with pytest.raises(InvalidArgument, match=f"Something reads attributes of `{name}`"):
        insert(model, units, name)
    with pytest.raises(InvalidArgument, match=f"Something reads attributes of `{name}`"):
        factorise(model, units, name, rank=2)


def test_units_of_another_model_are_refused():
    model = nn.Sequential(nn.Linear(5, 3), nn.Linear(3, 2))
    units = find_units(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)), torch.zeros(1, 4))
    for verb in (insert, partial(factorise, rank=1)):
        with pytest.raises(InvalidArgument, match="The model does not run on the example of these"):
            verb(model, units, "0")
