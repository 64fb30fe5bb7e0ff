"""The one pass over the data: against obvious sums, split and merged, and with nothing left behind."""

import copy

import pytest
import torch
from torch import nn

from planted import batches, shaken
from surplus.base import InvalidArgument
from surplus.nets import Conv2
from surplus.passes import activations, draw
from surplus.passes.statistics import ClassSums, Comoments, Firing, Wanted, observe
from surplus.units import find_units

ALL = {"comoments": True, "firing": True, "class_sums": True, "cross_layer": True}


@pytest.fixture
def conv() -> nn.Module:
    return shaken(Conv2(width=0.05).build((1, 8, 8), 3, seed=0))


def taps_of(model: nn.Module, example: torch.Tensor):
    return {group.name: group.tap for group in find_units(model, example) if group.tap is not None}


def outputs_of(model, taps, data):
    """What each unit emits on all data, kept whole."""
    return {name: torch.cat(list(activations(model, tap, data))) for name, tap in taps.items()}


@pytest.mark.parametrize("positions", [None, 5])
def test_sums_are_those_of_everything_kept(conv, positions):
    data = batches(23, (1, 8, 8), 3)
    taps = taps_of(conv, data[0][0][:2])
    found = observe(conv, taps, data, Wanted(**ALL, positions=positions))
    outputs = outputs_of(conv, taps, data)
    labels = torch.cat([targets for _, targets in data])
    for name, each in outputs.items():
        rows = each.transpose(1, 2).reshape(-1, each.shape[1])
        firing = found.firing[name]
        assert firing.counts.tolist() == (rows > 0).sum(0).tolist()
        assert firing.num_positions == len(rows)
        assert firing.largest.tolist() == rows.max(0).values.tolist()
        assert firing.smallest.tolist() == rows.min(0).values.tolist()
        assert found.comoments[name].num_examples == len(labels)
        if positions is None or each.shape[2] == 1:
            comoments = found.comoments[name]
            assert comoments.num_rows == firing.num_rows == len(rows)
            torch.testing.assert_close(comoments.mean, rows.mean(0))
            torch.testing.assert_close(comoments.covariance, rows.T.cov(correction=0))
            fires = (rows > 0).double()
            assert torch.equal(firing.together, fires.T @ fires)
        else:
            assert found.comoments[name].num_rows == len(labels) * positions
        features = each.mean(2)
        for label in range(3):
            chosen = features[labels == label]
            torch.testing.assert_close(found.class_sums[name].means[label], chosen.mean(0))
            assert found.class_sums[name].counts[label] == len(chosen)
    cross = found.features[0]
    beside = [outputs[name].mean(2) - outputs[name].mean((0, 2)) for name in cross.slices]
    squares = [[float((one.T @ two).square().sum()) for two in beside] for one in beside]
    torch.testing.assert_close(cross.squares(), torch.tensor(squares, dtype=torch.float64))


def test_a_sample_of_positions_is_that_of_its_seed(conv):
    data = batches(9, (1, 8, 8), 3)
    taps = taps_of(conv, data[0][0][:2])
    one, same, other = (
        observe(conv, taps, data, Wanted(comoments=True, positions=4, seed=seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(one.comoments["conv1"].mean, same.comoments["conv1"].mean)
    assert not torch.equal(one.comoments["conv1"].mean, other.comoments["conv1"].mean)


def test_halves_merge_to_the_whole(conv):
    data = batches(24, (1, 8, 8), 3)
    taps = taps_of(conv, data[0][0][:2])
    wanted = Wanted(**ALL, positions=None)
    whole = observe(conv, taps, data, wanted)
    half = observe(conv, taps, data[:1], wanted)
    half.merge(observe(conv, taps, data[1:], wanted))
    for name, each in whole.comoments.items():
        torch.testing.assert_close(half.comoments[name].products, each.products)
        assert half.comoments[name].num_rows == each.num_rows
        assert torch.equal(half.firing[name].together, whole.firing[name].together)
        assert torch.equal(half.firing[name].largest, whole.firing[name].largest)
        torch.testing.assert_close(half.class_sums[name].sums, whole.class_sums[name].sums)
    torch.testing.assert_close(half.features[0].squares(), whole.features[0].squares())


def test_a_large_mean_costs_no_digits():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(1000, 3, dtype=torch.float64, generator=generator)
    seen = Comoments(3)
    for part in (rows + 1e8).split(100):
        seen.add(part, len(part))
    torch.testing.assert_close(seen.covariance, rows.T.cov(correction=0), rtol=1e-6, atol=1e-7)


def test_a_constant_column_is_correlated_with_nothing():
    rows = torch.rand(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rows[:, 1] = 0.3
    rows[:, 2] = -2 * rows[:, 0] + 7
    seen = Comoments(3)
    for part in rows.split(7):
        seen.add(part, len(part))
    expected = torch.tensor([[1.0, 0, -1], [0, 0, 0], [-1, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(seen.correlation, expected)


def test_nothing_seen_merges_to_nothing():
    empty, seen = Comoments(2), Comoments(2)
    seen.add(torch.eye(2), 2)
    seen.merge(empty)
    empty.merge(seen)
    assert torch.equal(empty.covariance, seen.covariance)
    sums = ClassSums(2)
    sums.merge(ClassSums(2))
    assert sums.means.shape == (0, 2)
    assert Firing(2).largest.tolist() == [float("-inf")] * 2


def test_the_model_is_left_as_it_was(conv):
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = conv
            self.register_buffer("runs", torch.zeros(()))

        def forward(self, x):
            self.runs += 1
            torch.rand(1)
            return self.inner(x)

    model = Counting().train()
    data = batches(9, (1, 8, 8), 3)
    taps = taps_of(model, data[0][0][:2])
    before, stream = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    observe(model, taps, data, Wanted(**ALL))
    assert all(torch.equal(before[name], each) for name, each in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert torch.equal(stream, torch.get_rng_state())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_hooks_go_when_the_model_fails(conv):
    data = batches(4, (1, 8, 8), 3)
    taps = taps_of(conv, data[0][0][:2])
    with pytest.raises(RuntimeError):
        observe(conv, taps, [(torch.zeros(2, 5, dtype=torch.float64), torch.zeros(2))], Wanted())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in conv.modules())


def test_another_path_is_named():
    class Choosing(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x):
            hidden = self.first(x)
            return self.second(torch.relu(hidden) if x.sum() > 0 else torch.tanh(hidden))

    model = Choosing()
    taps = taps_of(model, torch.ones(2, 3))
    with pytest.raises(InvalidArgument, match="takes another path than on the example"):
        observe(model, taps, [(-torch.ones(2, 3), torch.zeros(2))], Wanted(comoments=True))


@pytest.mark.parametrize("num_examples", [1, 7, 29, 30, 50, None])
def test_a_sample_of_batches_is_drawn_in_one_reading(num_examples):
    """Each example is drawn once, with its number, from batches that nobody counted before."""

    def stream():
        for start in (0, 12, 24):
            numbers = torch.arange(start, min(start + 12, 30))
            yield numbers[:, None].double(), numbers % 3

    data, numbers = draw(stream(), num_examples, seed=1)
    inputs = torch.cat([each for each, _ in data])[:, 0]
    targets = torch.cat([each for _, each in data])
    assert inputs.tolist() == numbers.tolist() == sorted(set(numbers.tolist()))
    assert targets.tolist() == [number % 3 for number in numbers.tolist()]
    assert len(numbers) == min(num_examples or 30, 30)


def test_every_example_is_drawn_equally_often():
    data = [(torch.arange(10.0), torch.zeros(10)), (torch.arange(10.0, 14.0), torch.zeros(4))]
    drawn = torch.cat([draw(data, 5, seed).numbers for seed in range(1400)])
    counts = torch.bincount(drawn, minlength=14)
    assert counts.sum() == 7000
    # 500 each; the standard deviation of a count is below 18
    assert bool(((counts - 500).abs() < 90).all())
