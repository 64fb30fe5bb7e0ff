import pytest
import torch
from torch import nn

from surplus.base import InvalidArgument
from surplus.edits import split, split_
from surplus.units import find_units
from zoo import ZOO, build

COMPUTED = ("spectral_norm", "spectral_norm_by_hook", "spectral_lstm", "parametrised")
"""Networks whose weights depend on all their rows at once, or on a size."""


@pytest.mark.parametrize("name", ZOO)
def test_every_group_is_split_and_computes_what_it_did(name):
    model, example = build(name)
    units = find_units(model, example)
    groups = [group for group in units.removable() if group.coupled is None and group.outgoing]
    for group in groups[:2] + groups[2:][-2:]:
        both = {(s.tensor, s.axis) for s in group.incoming} & {
            (s.tensor, s.axis) for s in group.outgoing
        }
        blocks = max((c.blocks for c in group.constraints), key=len, default=None)
        chosen = [0] if blocks is None else blocks[:, 0].tolist()
        if both:
            with pytest.raises(InvalidArgument, match="computed and read by the same weight"):
                split(model, units, {group.name: chosen})
            continue
        try:
            larger, edits = split(model, units, {group.name: chosen}, noise=0.3)
        except InvalidArgument as refused:
            assert name in COMPUTED and "with more units in it" in str(refused)
            continue
        assert edits.steps[0].difference <= 1e-10
        assert sum(p.numel() for p in larger.parameters()) > sum(
            p.numel() for p in model.parameters()
        )


def mlp():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    return model.double(), torch.randn(8, 4).double()


def test_copies_share_the_outgoing_weights():
    model, example = mlp()
    larger, edits = split(model, find_units(model, example), {"0": [2, 2, 0]})
    assert torch.equal(larger[0].weight[3:], model[0].weight[[2, 2, 0]])
    assert torch.equal(larger[2].weight[:, 3], model[2].weight[:, 2] / 3)
    assert torch.equal(larger[2].weight[:, 5], model[2].weight[:, 0] / 2)
    assert torch.equal(larger[2].weight[:, 1], model[2].weight[:, 1])
    assert edits.steps[0].verb == "split"


def test_two_layers_in_a_row_are_split_together():
    model, example = mlp()
    larger, _ = split(model, find_units(model, example), {"0": [1], "2": [4, 0]}, noise=0.2)
    assert larger[2].weight.shape == (7, 4)
    torch.testing.assert_close(larger(example), model(example), rtol=1e-11, atol=1e-11)


def test_noise_breaks_the_tie_and_comes_from_the_seed():
    model, example = mlp()
    units = find_units(model, example)
    columns = [
        split(model, units, {"0": [2]}, noise=noise, seed=seed)[0][2].weight[:, 2:]
        for noise, seed in ((0.0, 0), (0.5, 0), (0.5, 0), (0.5, 1))
    ]
    assert torch.equal(columns[0][:, 0], columns[0][:, 1])
    assert not torch.allclose(columns[1][:, 0], columns[1][:, 1])
    assert torch.equal(columns[1], columns[2]) and not torch.equal(columns[1], columns[3])


@pytest.mark.parametrize(
    ("chosen", "message"),
    [([3], "numbered from 0 to 2; 3 is none of them"), ([], "none is named"), ([-1], "-1 is none")],
)
def test_units_that_are_not_there_are_refused(chosen, message):
    model, example = mlp()
    with pytest.raises(InvalidArgument, match=message):
        split(model, find_units(model, example), {"0": chosen})


def test_blocks_are_copied_evenly():
    model = nn.Sequential(
        nn.Conv2d(4, 8, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2)
    ).double()
    units = find_units(model, torch.randn(2, 4, 3, 3).double())
    with pytest.raises(InvalidArgument, match="As many units of `0` must be copied of each of 2"):
        split(model, units, {"0": [0, 1]})
    larger, _ = split(model, units, {"0": [7, 2]})
    assert torch.equal(larger[0].weight[4], model[0].weight[2])
    assert torch.equal(larger[0].weight[9], model[0].weight[7])


def test_mode_layout_and_frozen_weights_stay():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3)).double().train()
    model = model.to(memory_format=torch.channels_last)
    model[2].weight.requires_grad_(False)
    units = find_units(model, torch.randn(2, 3, 8, 8).double())
    state = torch.get_rng_state()
    larger, _ = split(model, units, {"0": [1]}, noise=0.1)
    assert torch.equal(torch.get_rng_state(), state)
    assert larger.training and not larger[2].weight.requires_grad
    for place in (0, 2):
        assert larger[place].weight.is_contiguous(memory_format=torch.channels_last)
        assert model[place].weight.is_contiguous(memory_format=torch.channels_last)


def test_in_place_every_parameter_stays():
    model, example = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(example).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    before = model(example)
    identities = [id(p) for p in model.parameters()]
    split_(model, find_units(model, example), {"0": [1]}, optimizer=optimizer)
    assert [id(p) for p in model.parameters()] == identities
    torch.testing.assert_close(model(example), before, rtol=1e-11, atol=1e-11)
    model(example).sum().backward()
    optimizer.step()


@pytest.mark.message
def test_units_are_named_by_integers_and_noise_is_finite():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    units = find_units(model, torch.zeros(1, 4))
    for wrong in ([1.7], torch.tensor([True, False, False])):
        with pytest.raises(InvalidArgument, match="`0` to copy are given as torch.*as integers"):
            split(model, units, {"0": wrong})
    for noise in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InvalidArgument, match=f"`noise` is {noise}; .* not negative"):
            split(model, units, {"0": [1]}, noise=noise)
