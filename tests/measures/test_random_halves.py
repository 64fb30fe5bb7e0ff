"""Random halves: an average that does not care which half stays, and a layer of which one unit is needed."""

import copy

import pytest
import torch
from torch import nn

from planted import batches
from surplus.base import InvalidArgument
from surplus.measures import RandomHalves, findings, observed
from surplus.passes import performance
from surplus.units import find_units


def numbers(model, data, measure=None):
    measure = measure or RandomHalves()
    seen = observed(model, find_units(model, data[0][0][:2]), (measure,), data)
    return {(f.quantity, f.layer): f for _, f in findings(seen, (measure,))}


def averaging(copies):
    """A hidden layer of equal units, whose mean beats a constant output where the input is large."""
    model = nn.Sequential(nn.Linear(1, copies), nn.ReLU(), nn.Linear(copies, 2))
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[0].bias.zero_()
        model[2].weight[0].zero_()
        model[2].weight[1].fill_(1 / copies)
        model[2].bias.copy_(torch.tensor([0.6, 0.0]))
    return model


def labelled():
    x = torch.linspace(0.1, 1.1, 50)[:, None]
    return [(x, (x[:, 0] > 0.6).long())]


def test_half_of_an_average_made_twice_as_loud_is_the_whole():
    found = numbers(averaging(8), labelled())
    assert found["accuracy", None].value == 1.0
    assert found["rescaled_accuracy", "0"].value == 1.0
    # As loud as it was left, half an average passes 0.6 where the input is beyond 1.2, which never happens.
    assert found["halved_accuracy", "0"].value == pytest.approx(0.5, abs=0.03)


def test_loudness_does_not_bring_back_a_unit_that_is_gone():
    model = averaging(8)
    with torch.no_grad():
        model[2].weight[1].zero_()
        model[2].weight[1, 3] = 1.0
    found = numbers(model, labelled(), RandomHalves(repeats=40))
    # In about half the draws the unit stays, too loud; in the others nothing is ever above the constant.
    assert found["rescaled_accuracy", "0"].value < 0.9
    assert found["rescaled_accuracy", "0"].lower < found["rescaled_accuracy", "0"].value


def test_it_is_the_accuracy_of_a_network_cut_by_hand(mlp):
    data, measure = batches(40, (6,), 3), RandomHalves(share=0.25, repeats=1)
    before = copy.deepcopy(mlp.state_dict())
    found = numbers(mlp, data, measure)
    assert all(torch.equal(before[name], each) for name, each in mlp.state_dict().items())
    seen = observed(mlp, find_units(mlp, data[0][0][:2]), (measure,), data)
    layer = seen.names[0]
    group = seen.group(layer)
    (slot,) = group.outgoing
    accuracies = set()
    num = max(1, round(0.25 * group.size))
    for kept in torch.combinations(torch.arange(group.size), num).tolist():
        other = copy.deepcopy(mlp)
        with torch.no_grad():
            W = other.get_parameter(slot.tensor)
            for unit in range(group.size):
                W[:, unit] *= group.size / num if unit in kept else 0.0
        accuracies.add(performance(other, data).accuracy)
    assert found["rescaled_accuracy", layer].value in accuracies


def test_a_share_outside_its_range_is_refused():
    with pytest.raises(InvalidArgument, match="a share lies in"):
        RandomHalves(share=0.0)
    with pytest.raises(InvalidArgument, match="at least one draw"):
        RandomHalves(repeats=0)
