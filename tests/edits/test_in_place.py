"""A model that is cut while it trains goes on exactly as the masked one."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from surplus.base import InvalidArgument
from surplus.edits import NewUnits, cut_, factorise_, grow_, insert_, masked, split_
from surplus.masks import Mask, Scores, enforce_, keep
from surplus.units import find_units
from zoo import build

OPTIMIZERS = {
    "momentum": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=1e-3),
    "sgd fused": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, fused=True),
    "nesterov": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, 0.01),
    "adam foreach": lambda p: torch.optim.Adam(p, 0.01, foreach=True),
    "adamw fused": lambda p: torch.optim.AdamW(p, 0.01, fused=True),
    "amsgrad": lambda p: torch.optim.Adam(p, 0.01, amsgrad=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.005, momentum=0.5, centered=True),
}


class Net(nn.Module):
    """A residual network with what makes cutting hard, and nothing that couples units."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.conv1 = nn.Conv2d(8, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 8, 3, padding=1)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = F.relu(x + self.conv2(F.silu(self.conv1(x))))
        return self.head(x.mean((2, 3)))


def prepared(seed=0):
    torch.manual_seed(seed)
    model = Net().double()
    data = [(torch.randn(6, 3, 8, 8).double(), torch.randint(4, (6,))) for _ in range(12)]
    return model, data


def steps(model, optimizer, data, mask=None):
    losses = []
    for inputs, targets in data:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        if mask is not None:
            enforce_(model, mask)
        losses.append(float(loss.detach()))
    return losses


def half(model, example):
    units = find_units(model, example)
    values = {group.name: torch.rand(group.size) for group in units.removable()}
    return keep(Scores(values, "units", units), 0.5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_cut_training_is_masked_training(name):
    model, data = prepared()
    optimizer = OPTIMIZERS[name](model.parameters())
    steps(model, optimizer, data[:4])
    optimizer.zero_grad()
    mask = half(model, data[0][0])
    twin, twins = copy.deepcopy((model, optimizer))
    enforce_(twin, mask)
    edits = cut_(model, mask, optimizer)
    assert edits.steps[0].difference < 1e-12
    expected = steps(twin, twins, data[4:], mask)
    found = steps(model, optimizer, data[4:])
    assert found == pytest.approx(expected, rel=1e-9)
    torch.testing.assert_close(model(data[0][0]), twin(data[0][0]), rtol=1e-9, atol=1e-11)


def test_every_parameter_stays_the_object_that_it_was():
    model, data = prepared()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    seen = []
    model.conv1.weight.register_post_accumulate_grad_hook(lambda p: seen.append(p.shape))
    model.conv1.weight.mark = "mine"
    model.conv1.weight.requires_grad_(True)
    before = {name: id(parameter) for name, parameter in model.named_parameters()}
    steps(model, optimizer, data[:2])
    optimizer.zero_grad()
    cut_(model, half(model, data[0][0]), optimizer)
    assert {name: id(parameter) for name, parameter in model.named_parameters()} == before
    steps(model, optimizer, data[2:3])
    scheduler.step()
    assert seen[-1] == model.conv1.weight.shape == (6, 4, 3, 3)
    assert model.conv1.weight.mark == "mine"
    assert all(p in optimizer.state for p in model.parameters())


def test_layout_mode_and_frozen_weights_stay():
    model, data = prepared()
    model = model.to(memory_format=torch.channels_last).train()
    model.stem.weight.requires_grad_(False)
    cut_(model, half(model, data[0][0]))
    assert model.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert model.training and not model.stem.weight.requires_grad


def test_a_cut_between_forward_and_backward_is_refused():
    model, data = prepared()
    inputs, targets = data[0]
    loss = F.cross_entropy(model(inputs), targets)
    loss.backward()
    mask = half(model, inputs)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(
        InvalidArgument, match=r"`stem.weight` has a gradient .* Edit between steps"
    ):
        cut_(model, mask)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    model.zero_grad()
    late = F.cross_entropy(model(inputs), targets)
    cut_(model, mask)
    with pytest.raises(InvalidArgument, match="belongs to a forward pass from before the model"):
        late.backward()
    F.cross_entropy(model(inputs), targets).backward()
    assert all(p.grad.shape == p.shape for p in model.parameters())


def test_state_of_another_shape_begins_anew_and_says_so():
    model, data = prepared()
    optimizer = torch.optim.Adafactor(model.parameters(), 0.01)
    steps(model, optimizer, data[:2])
    optimizer.zero_grad()
    with pytest.warns(UserWarning, match="is not shaped like the parameter; its state begins anew"):
        cut_(model, half(model, data[0][0]), optimizer)
    steps(model, optimizer, data[2:4])


def test_a_wrapped_model_is_refused():
    model, data = prepared()
    mask = half(model, data[0][0])
    with pytest.raises(InvalidArgument, match="wrapped in DataParallel.*edit `model.module`"):
        cut_(nn.DataParallel(model), mask)


@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v2", "densenet", "vit", "lstm", "gpt_tied"]
)
def test_other_peoples_networks_are_cut_in_place(name):
    model, example = build(name)
    mask = half(model, example)
    expected = masked(model, mask)
    cut_(model, mask)
    assert find_units(model, example)
    assert sum(p.numel() for p in model.parameters()) < sum(
        p.numel() for p in expected.parameters()
    )


def test_a_mask_over_weights_changes_nothing():
    model, _ = prepared()
    with pytest.raises(InvalidArgument, match="needs a mask over units"):
        cut_(model, Mask({"head.weight": torch.ones(4, 8, dtype=torch.bool)}, "weights"))


def small():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    units = find_units(model, torch.randn(3, 4))
    mask = Mask.full(units)
    mask.kept["0"][1] = False
    return model, units, mask


IN_PLACE = {
    "cut_": lambda model, units, mask, optimizer: cut_(model, mask, optimizer),
    "grow_": lambda model, units, mask, optimizer: grow_(
        model, units, {"0": NewUnits(incoming=torch.ones(1, 4))}, optimizer
    ),
    "split_": lambda model, units, mask, optimizer: split_(
        model, units, {"0": [1]}, optimizer=optimizer
    ),
    "factorise_": lambda model, units, mask, optimizer: factorise_(
        model, units, "0", rank=1, optimizer=optimizer
    ),
    "insert_": lambda model, units, mask, optimizer: insert_(
        model, units, "0", optimizer=optimizer
    ),
}


@pytest.mark.message
@pytest.mark.parametrize("verb", IN_PLACE)
def test_what_is_no_optimiser_is_refused_before_anything_changes(verb):
    model, units, mask = small()
    before = copy.deepcopy(model)
    schedule = torch.optim.lr_scheduler.StepLR(torch.optim.SGD(model.parameters(), 0.1), 1)
    for wrong, message in (
        (schedule, "`optimizer` is, or contains, a StepLR"),
        ([schedule.optimizer, 5], "`optimizer` is, or contains, a int"),
        (torch.optim.LBFGS(model.parameters()), "LBFGS keeps its state as one vector"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            IN_PLACE[verb](model, units, mask, wrong)
    assert str(model) == str(before)
    assert all(map(torch.equal, model.parameters(), before.parameters()))


@pytest.mark.parametrize("verb", IN_PLACE)
def test_an_optimiser_that_knows_names_learns_the_new_ones(verb):
    model, units, mask = small()
    optimizer = torch.optim.SGD(model.named_parameters(), 0.1)
    IN_PLACE[verb](model, units, mask, optimizer)
    (group,) = optimizer.param_groups
    assert set(group["param_names"]) == {name for name, _ in model.named_parameters()}
    for name, parameter in zip(group["param_names"], group["params"], strict=True):
        assert model.get_parameter(name) is parameter


def test_new_weights_take_steps_of_the_usual_length_with_rprop():
    model, units, mask = small()
    optimizer = torch.optim.Rprop(model.parameters(), 0.01)
    model(torch.randn(3, 4)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    IN_PLACE["grow_"](model, units, mask, optimizer)
    assert float(optimizer.state[model[0].weight]["step_size"][6:].min()) > 0.001
