"""CKA: against Gram matrices of all examples, and what it must not see: rotations, scales, the order of batches."""

import pytest
import torch
from torch import nn

from planted import TinyConv, batches, shaken
from surplus.base import InvalidArgument, UnknownName
from surplus.measures import CKA, findings, observed
from surplus.nets import Conv2
from surplus.passes import activations
from surplus.units import find_units


def seen_by(measure, model, data, **more):
    return observed(model, find_units(model, data[0][0][:2]), (measure,), data, **more)


def found(measure, model, data, **more):
    rows = findings(seen_by(measure, model, data, **more), (measure,))
    return {(each.layer, each.other): each.value for _, each in rows if each.value is not None}


def everything(data):
    return torch.cat([inputs for inputs, _ in data])


def gram(features):
    """The centred Gram matrix of the examples."""
    count = len(features)
    centring = torch.eye(count).double() - 1 / count
    return centring @ features.flatten(1) @ features.flatten(1).T @ centring


def oracle(one, two):
    K, L = gram(one), gram(two)
    return float((K * L).sum() / (K * K).sum().sqrt() / (L * L).sum().sqrt())


def features_of(model, data, positions="mean"):
    """The features of each layer on all examples, kept whole."""
    units = find_units(model, data[0][0][:2])
    kept = {
        group.name: torch.cat(list(activations(model, group.tap, data)))
        for group in units
        if group.tap is not None and group.incoming
    }
    return {name: each.mean(2) if positions == "mean" else each for name, each in kept.items()}


@pytest.fixture
def conv() -> nn.Module:
    return shaken(Conv2(width=0.05).build((1, 8, 8), 3, seed=0))


@pytest.mark.parametrize("positions", ["mean", "all"])
@pytest.mark.parametrize("count", [10, 150])
def test_is_that_of_the_gram_matrices(conv, positions, count):
    """With fewer examples than features, and with more."""
    data = batches(count, (1, 8, 8), 3)
    features = features_of(conv, data, positions)
    numbers = found(CKA(positions=positions), conv, data)
    names = list(features)
    assert set(numbers) == {(a, b) for i, a in enumerate(names) for b in names[i + 1 :]}
    for (one, two), value in numbers.items():
        assert value == pytest.approx(oracle(features[one], features[two]), rel=1e-12)


@pytest.mark.parametrize("positions", ["mean", "all"])
def test_two_networks_are_compared_layer_by_layer(conv, positions):
    data = batches(40, (1, 8, 8), 3)
    other = shaken(TinyConv().build((1, 8, 8), 3, seed=1)).float()
    single = [(inputs.float(), targets) for inputs, targets in data]
    theirs = seen_by(CKA(), other, single)
    numbers = found(CKA(positions=positions), conv, data, other=theirs)
    mine, others = features_of(conv, data, positions), features_of(other, single, positions)
    assert set(numbers) == {(a, b) for a in mine for b in others}
    for (one, two), value in numbers.items():
        assert value == pytest.approx(oracle(mine[one], others[two].double()), abs=1e-6)


def test_both_networks_see_the_same_examples_of_shuffled_data(mlp):
    """The data come in another order each time they are read."""
    inputs, targets = batches(40, (6,), 3)[0]

    class Shuffled:
        def __iter__(self):
            order = torch.randperm(len(inputs))
            yield from zip(inputs[order].split(7), targets[order].split(7), strict=True)

    theirs = seen_by(CKA(), mlp, [(inputs, targets)])
    units = find_units(mlp, inputs[:2])
    seen = observed(mlp, units, (CKA(),), Shuffled(), other=theirs)
    same = [each for _, each in findings(seen, (CKA(),)) if each.layer == each.other]
    assert [each.value for each in same] == [pytest.approx(1.0, abs=1e-12)] * 3


def test_rotations_and_scales_are_not_seen(mlp):
    data = batches(50, (6,), 3)
    plain = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 5), nn.Linear(5, 3)).double()
    turned = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 5), nn.Linear(5, 3)).double()
    turned.load_state_dict(plain.state_dict())
    rotation = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))[0]
    with torch.no_grad():
        turned[0].weight.copy_(3.7 * rotation @ plain[0].weight)
        turned[1].weight.copy_(plain[1].weight @ rotation.T / 3.7)
        turned[0].bias.copy_(torch.randn(8))
    numbers = found(CKA(), plain, data, other=seen_by(CKA(), turned, data))
    within = found(CKA(), plain, data)
    assert numbers["0", "0"] == pytest.approx(1.0, abs=1e-12)
    assert numbers["0", "1"] == pytest.approx(within["0", "1"], abs=1e-12)
    assert numbers["1", "0"] == pytest.approx(within["0", "1"], abs=1e-12)


def test_what_has_nothing_in_common_has_none():
    """The columns of an orthogonal design; one network sees two of them, the other the third."""
    design = torch.tensor([[1, 1, 1], [-1, 1, -1], [1, -1, -1], [-1, -1, 1]]).double()
    data = [(design, torch.zeros(4).long())]
    networks = []
    for rows in ([0, 1], [2, 2]):
        model = nn.Sequential(nn.Linear(3, len(rows), bias=False), nn.Linear(len(rows), 2)).double()
        with torch.no_grad():
            model[0].weight.copy_(torch.eye(3)[rows])
        networks.append(model)
    one, other = networks
    numbers = found(CKA(), one, data, other=seen_by(CKA(), other, data))
    assert numbers["0", "0"] == pytest.approx(0.0, abs=1e-12)


def test_a_constant_layer_is_named(mlp):
    with torch.no_grad():
        mlp[2].weight.zero_()
    data = batches(20, (6,), 3)
    rows = [each for _, each in findings(seen_by(CKA(), mlp, data), (CKA(),))]
    notes = [(each.layer, each.note) for each in rows if each.value is None]
    assert notes == [
        ("2", "its features never change on these data"),
        ("4", "its features never change on these data"),
    ]
    assert len(rows) == 2


def test_too_many_features_are_refused(mlp, monkeypatch):
    monkeypatch.setattr("surplus.passes.statistics.cross_layer.MOST_NUMBERS", 100)
    for measure in (CKA(), CKA(positions="all")):
        rows = findings(seen_by(measure, mlp, batches(20, (6,), 3)), (measure,))
        assert [each.note for _, each in rows] == [
            "its layers have 16 features together, whose products are more than are kept (100 numbers):"
            " pass fewer `layers`, or at most 6 examples"
        ]


class Blocks(nn.Module):
    """A residual stream of one width, so one layer of units, written by three blocks."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.blocks = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))
        self.norms = nn.ModuleList(nn.Identity() for _ in range(3))
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = self.stem(x)
        for block, norm in zip(self.blocks, self.norms, strict=True):
            x = norm(x + torch.relu(block(x)))
        return self.head(x.mul_(2).mean((2, 3)))


def test_modules_are_compared_where_units_are_one_stream():
    torch.manual_seed(0)
    model = Blocks().double()
    data = batches(20, (1, 6, 6), 3)
    inputs = everything(data)
    with torch.no_grad():
        x = model.stem(inputs)
        streams = []
        for block in model.blocks:
            x = x + torch.relu(block(x))
            streams.append(x)
    for positions in ("mean", "all"):
        features = [each.mean((2, 3)) if positions == "mean" else each for each in streams]
        numbers = found(CKA(modules=("norms.*",), positions=positions), model, data)
        assert numbers == {
            (f"norms.{i}", f"norms.{j}"): pytest.approx(oracle(features[i], features[j]), rel=1e-9)
            for i in range(3)
            for j in range(i + 1, 3)
        }


def test_features_of_sequences_lie_along_the_last_axis():
    model = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 5), nn.Flatten(), nn.Linear(35, 2)).double()
    data = batches(30, (7, 4), 2)
    numbers = found(CKA(modules=("0", "1")), model, data)
    with torch.no_grad():
        first = model[0](everything(data))
        second = model[1](first)
    expected = oracle(first.mean(1), second.mean(1))
    assert numbers == {("0", "1"): pytest.approx(expected, rel=1e-9)}


def test_modules_that_cannot_be_compared_are_refused(mlp):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.pair = nn.Linear(6, 4), nn.RNN(4, 4, batch_first=True)

        def forward(self, x):
            return self.pair(torch.tanh(self.one(x) + self.one(-x))[:, None])[0][:, 0]

    data = batches(9, (6,), 3, torch.float32)
    model = Odd()
    for module, message in (
        ("one", "`one` runs 2 times on a batch; a module that is compared must run once"),
        ("pair", "`pair` returns tuple; a module that is compared must return a tensor"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            found(CKA(modules=(module,)), model, data)
    with pytest.raises(UnknownName, match="module"):
        found(CKA(modules=("layer*",)), mlp, batches(9, (6,), 3))
