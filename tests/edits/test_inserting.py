import pytest
import torch
from torch import nn

from surplus.base import InvalidArgument
from surplus.edits import insert, insert_, load, save
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
