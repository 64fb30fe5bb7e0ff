"""Agreement of masked networks with the network itself, against counting prediction by prediction."""

import pytest
import torch
from torch import nn

from planted import TinyConv, TinyResidual, batches, shaken
from surplus.masks import Mask, enforce
from surplus.passes import Answers, agreement
from surplus.units import find_units


def counted(model, mask, data):
    """How many predictions stay, and how many are right."""
    stays = right = 0
    masked = enforce(model, mask).eval()
    with torch.no_grad():
        for inputs, targets in data:
            for x, y in zip(inputs, targets, strict=True):
                own, other = int(model(x[None]).argmax()), int(masked(x[None]).argmax())
                stays += own == other
                right += other == int(y)
    return stays, right


@pytest.mark.parametrize("net", [TinyConv(), TinyResidual()], ids=["chain", "residual"])
@pytest.mark.parametrize("layers", [("conv1",), ("fc1",), ("conv1", "fc1")], ids="-".join)
def test_is_what_masking_and_counting_gives(net, layers):
    model = shaken(net.build((1, 4, 4), 3, seed=0))
    data = batches(15, (1, 4, 4), 3)
    units = find_units(model, data[0][0][:2])
    masks = []
    for seed in range(8):  # more than are held at a time
        generator = torch.Generator().manual_seed(seed)
        kept = {name: torch.rand(units[name].size, generator=generator) > 0.5 for name in layers}
        masks.append(Mask(kept, "units", units))
    found = agreement(model, masks, data)
    expected = [counted(model, mask, data) for mask in masks]
    assert found.agreeing.tolist() == [stays for stays, _ in expected]
    assert found.correct is not None
    assert found.correct.tolist() == [right for _, right in expected]
    assert found.num_examples == 30


def test_leaves_the_model_and_the_data_as_they_were():
    """Also where the first layer works in place, dropout would draw, and statistics would move."""
    model = nn.Sequential(
        nn.ReLU(inplace=True), nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Dropout(), nn.Linear(5, 3)
    ).double()
    data = batches(10, (6,), 3)
    before = [inputs.clone() for inputs, _ in data], model[2].running_mean.clone()
    units = find_units(model, data[0][0].clone()[:2])
    mask = Mask({"1": torch.tensor([True, False, True, True, False])}, "units", units)
    stream = torch.get_rng_state()
    model.train()
    both = Mask({"1": mask.kept["1"]}, "units", units)
    first = agreement(model, [mask, both], data)
    assert first.agreeing[0] == first.agreeing[1]
    assert len(list(Answers(model, data))) == 2
    assert model.training and torch.equal(model[2].running_mean, before[1])
    assert all(torch.equal(a, b) for a, (b, _) in zip(before[0], data, strict=True))
    assert torch.equal(stream, torch.get_rng_state())


def test_answers_are_the_networks_own(mlp):
    data = batches(10, (6,), 3)
    for (inputs, targets), (given, _) in zip(Answers(mlp, data), data, strict=True):
        assert torch.equal(inputs, given)
        assert torch.equal(targets, mlp(given).argmax(1))
