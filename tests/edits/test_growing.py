"""Grown equals original, and cut after growing is the original, of every removable group of other people's networks."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from surplus.base import InvalidArgument
from surplus.edits import Edits, NewUnits, cut, cut_, grow, grow_, load, replay_, save
from surplus.edits.intervals import unpack
from surplus.edits.refusing import computed_and_read
from surplus.masks import Mask
from surplus.units import copied, find_units, tensors_of
from zoo import ZOO, build, run

COMPUTED = ("spectral_norm", "spectral_norm_by_hook", "spectral_lstm")
"""Networks whose weights depend on all their rows at once."""


def leaves(outputs):
    return [t for t in torch.utils._pytree.tree_leaves(outputs) if isinstance(t, torch.Tensor)]


def new_units(units, group, generator):
    count = math.lcm(2, *(len(each.blocks) for each in group.constraints))
    fan_in = units.weight_vectors(group.name)
    return NewUnits(incoming=torch.randn(count, fan_in.shape[1], generator=generator).to(fan_in))


def without_new(larger, example, units, edits, name):
    """Cut the new units off again."""
    (kept,) = edits.steps[-1].units
    stays = torch.zeros(kept.size, dtype=torch.bool)
    stays[unpack(kept.kept)] = True
    found = find_units(larger, example)
    place = [group.name for group in units].index(name)
    return cut(larger, Mask({list(found)[place].name: stays}, "units", found))[0]


@pytest.mark.parametrize("name", ZOO)
def test_every_group_grows_and_computes_what_it_did(name):
    model, example = build(name)
    units = find_units(model, example)
    generator = torch.Generator().manual_seed(0)
    before = {key: value.clone() for key, value in tensors_of(model).items()}
    groups = [group for group in units.removable() if group.coupled is None]
    tied = [group for group in groups if computed_and_read(group)]
    for group in tied:
        with pytest.raises(InvalidArgument, match="computed and read by the same weight"):
            grow(model, units, {group.name: new_units(units, group, generator)})
    groups = [group for group in groups if group not in tied]
    groups = groups[:3] + groups[3:][-3:]
    for group in groups:
        try:
            larger, edits = grow(model, units, {group.name: new_units(units, group, generator)})
        except InvalidArgument as refused:
            assert name in COMPUTED and "with more units in it" in str(refused)
            continue
        assert edits.steps[0].difference <= 1e-10
        assert sum(p.numel() for p in larger.parameters()) > sum(
            p.numel() for p in model.parameters()
        )
        again = copied(model)
        replay_(again, Edits.from_json(edits.to_json()))
        shapes = {key: value.shape for key, value in tensors_of(larger).items()}
        assert {key: value.shape for key, value in tensors_of(again).items()} == shapes
        back = without_new(larger, example, units, edits, group.name)
        for key, value in tensors_of(back).items():
            assert torch.equal(value, before[key])
    assert all(torch.equal(before[key], value) for key, value in tensors_of(model).items())


@pytest.mark.parametrize("name", ["resnet18", "vit", "lstm", "shufflenet_v2", "gpt_tied"])
def test_a_grown_model_is_saved_and_loaded(name, tmp_path):
    model, example = build(name)
    units = find_units(model, example)
    group = next(g for g in units.removable() if g.coupled is None and g.outgoing)
    new = new_units(units, group, torch.Generator().manual_seed(0))
    fan_out = units.outgoing(group.name).shape[1]
    new = NewUnits(incoming=new.incoming, outgoing=torch.randn(new.count, fan_out))
    larger, edits = grow(model, units, {group.name: new})
    save(tmp_path / "larger", larger, edits)
    again = load(tmp_path / "larger", into=model)
    with torch.no_grad():
        pairs = zip(leaves(run(again, example)), leaves(run(larger, example)), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)
        changed = zip(leaves(run(model, example)), leaves(run(larger, example)), strict=True)
        assert not all(torch.equal(one, other) for one, other in changed)


def mlp():
    torch.manual_seed(0)
    layers = (nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 5), nn.Linear(5, 2))
    model = nn.Sequential(*layers).double().eval()
    return model, find_units(model, torch.randn(8, 4).double())


def test_weights_stand_where_they_were_given():
    model, units = mlp()
    new = {
        "0": NewUnits(
            incoming=torch.arange(8.0).view(2, 4),
            outgoing=torch.arange(10.0).view(2, 5),
            carried=torch.arange(10.0).view(2, 5) + 1,
        ),
        "3": NewUnits(incoming=torch.ones(1, 3), outgoing=torch.full((1, 2), 7.0)),
    }
    larger, edits = grow(model, units, new)
    assert torch.equal(larger[0].weight[3:], torch.arange(8.0).view(2, 4).double())
    assert torch.equal(larger[3].weight[:5, 3:], torch.arange(10.0).view(2, 5).double().T)
    assert torch.equal(larger[3].weight[5], torch.tensor([1.0, 1, 1, 0, 0]).double())
    assert torch.equal(larger[4].weight[:, 5], torch.full((2,), 7.0).double())
    carried = [slot.tensor for slot in units["0"].carried]
    for column, name in enumerate(carried):
        found = larger.state_dict()[name][3:]
        assert torch.equal(found, torch.tensor([1.0 + column, 6.0 + column]).double())
    assert [(each.layer, each.size, each.num_kept) for each in edits.steps[0].units] == [
        ("0", 5, 3),
        ("3", 6, 5),
    ]


def test_what_new_units_carry_along_by_default():
    model, units = mlp()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
        model[1].running_var.fill_(5.0)
        model[1].running_mean.fill_(5.0)
    larger, _ = grow(model, units, {"0": NewUnits(incoming=torch.zeros(1, 4))})
    norm = larger.requires_grad_(False)[1]
    assert (float(norm.weight[3]), float(norm.bias[3])) == (2.0, 0.0)
    assert (float(norm.running_mean[3]), float(norm.running_var[3])) == (0.0, 1.0)
    assert float(larger[0].bias[3]) == 0.0


def test_new_units_with_nothing_going_in_learn_by_what_comes_out():
    model, units = mlp()
    larger, _ = grow(model, units, {"0": NewUnits(outgoing=torch.ones(2, 5))})
    assert not larger[0].weight[3:].any()
    larger(torch.randn(8, 4).double()).square().sum().backward()
    assert larger[0].weight.grad.shape == (5, 4)


def test_units_that_speak_without_being_spoken_to_are_refused():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 2)).double()
    units = find_units(model, torch.randn(8, 4).double())
    with pytest.raises(
        InvalidArgument, match="new units of `0` still emit something .* Let their outgoing"
    ):
        grow(model, units, {"0": NewUnits(outgoing=torch.ones(1, 2))})
    grow(model, units, {"0": NewUnits(outgoing=torch.ones(1, 2))}, verify=False)


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (NewUnits, "No new units of `0` are given: pass `incoming`, `outgoing`, or both"),
        (
            lambda: NewUnits(incoming=torch.ones(2, 5)),
            r"`incoming` of the new units of `0` has shape \(2, 5\); it needs \(2, 4\)",
        ),
        (
            lambda: NewUnits(incoming=torch.ones(2, 4), outgoing=torch.ones(3, 5)),
            r"`outgoing` .* has shape \(3, 5\); it needs \(2, 5\): a row for each of 2 new units",
        ),
    ],
)
@pytest.mark.message
def test_weights_that_do_not_fit_are_refused(new, message):
    model, units = mlp()
    with pytest.raises(InvalidArgument, match=message):
        grow(model, units, {"0": new()})


def test_outputs_do_not_grow():
    model, units = mlp()
    with pytest.raises(InvalidArgument, match="they are the outputs of the network"):
        grow(model, units, {"4": NewUnits(incoming=torch.ones(1, 5))})


def test_units_that_share_statistics_are_refused():
    model, example = build("vit")
    units = find_units(model, example)
    group = next(g for g in units.removable() if g.coupled is not None)
    new = new_units(units, group, torch.Generator().manual_seed(0))
    with pytest.raises(InvalidArgument, match="share statistics, so that new ones change"):
        grow(model, units, {group.name: new})
    larger, _ = grow(model, units, {group.name: new}, verify=False)
    run(larger, example)


class Grouped(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, groups=2)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(F.relu(self.conv(x)).mean((2, 3)))


def test_blocks_grow_evenly():
    model = Grouped().double()
    units = find_units(model, torch.randn(2, 4, 5, 5).double())
    with pytest.raises(InvalidArgument, match="`conv` cannot have 3 more units.* multiple of 2"):
        grow(model, units, {"conv": NewUnits(incoming=torch.ones(3, 18))})
    larger, edits = grow(model, units, {"conv": NewUnits(incoming=torch.ones(4, 18))})
    assert larger.conv.weight.shape == (12, 2, 3, 3) and larger.conv.groups == 2
    assert edits.steps[0].units[0].kept == ((0, 4), (6, 10))


@pytest.mark.parametrize("name", ["momentum", "adam", "amsgrad", "rmsprop"])
def test_a_model_grows_between_steps_and_trains_on(name):
    torch.manual_seed(0)
    kinds = {
        "momentum": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p, 0.01),
        "amsgrad": lambda p: torch.optim.Adam(p, 0.01, amsgrad=True),
        "rmsprop": lambda p: torch.optim.RMSprop(p, 0.005, momentum=0.5),
    }
    model, _ = mlp()
    model.train()
    optimizer = kinds[name](model.parameters())
    data = [(torch.randn(8, 4).double(), torch.randint(2, (8,))) for _ in range(4)]

    def steps(which):
        for inputs, targets in which:
            optimizer.zero_grad()
            F.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
        optimizer.zero_grad()

    steps(data[:2])
    identities = {key: id(p) for key, p in model.named_parameters()}
    state = {k: v.clone() for k, v in optimizer.state[model[0].weight].items() if v is not None}
    units = find_units(model, data[0][0])
    edits = grow_(model, units, {"0": NewUnits(incoming=torch.randn(2, 4))}, optimizer)
    assert edits.steps[0].difference < 1e-12
    assert {key: id(p) for key, p in model.named_parameters()} == identities
    for key, value in optimizer.state[model[0].weight].items():
        if key in state and state[key].dim() > 0:
            assert torch.equal(value[:3], state[key])
            divides = key in ("exp_avg_sq", "max_exp_avg_sq", "square_avg")
            assert torch.allclose(value[3:], state[key].mean() * divides)
    steps(data[2:])
    assert all(p.isfinite().all() for p in model.parameters())


def test_a_cycle_of_growing_and_cutting_replays(tmp_path):
    model, units = mlp()
    fresh = copied(model)
    edits = grow_(model, units, {"0": NewUnits(incoming=torch.randn(2, 4))})
    found = find_units(model, torch.randn(8, 4).double())
    mask = Mask({"3": torch.tensor([True, False, True, True, False])}, "units", found)
    edits = edits + cut_(model, mask)
    save(tmp_path / "both", model, edits)
    again = load(tmp_path / "both", into=fresh)
    assert all(
        torch.equal(one, other)
        for one, other in zip(again.parameters(), model.parameters(), strict=True)
    )


def test_new_units_without_rows_or_values_are_refused():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    units = find_units(model, torch.zeros(1, 4))
    with pytest.raises(InvalidArgument, match="`outgoing` of the new units of `0` holds values"):
        grow(model, units, {"0": NewUnits(outgoing=torch.full((1, 2), torch.nan))})
    with pytest.raises(InvalidArgument, match="No new units of `0` are given"):
        grow(model, units, {"0": NewUnits(incoming=torch.zeros(0, 4))})
