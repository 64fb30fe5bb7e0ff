"""What weight matrices receive and get back, against hooks on the modules of small networks."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from planted import batches
from surplus.passes.ghost import MatrixSums, gradient_sample


def rows_of(model, layer, data):
    """What a module receives, and the gradients of the sum of losses at its outputs, position by position."""
    received, returned = [], []

    def look(module, inputs, output):
        output.retain_grad()
        received.append(inputs[0].detach())
        returned.append(output)

    handle = layer.register_forward_hook(look)
    for inputs, labels in data:
        F.cross_entropy(model(inputs), labels, reduction="sum").backward()
    handle.remove()
    model.zero_grad(set_to_none=True)
    return received, [each.grad for each in returned]


def summed_up(model, data, positions=None):
    sums = MatrixSums(positions, torch.Generator().manual_seed(0))
    gradient_sample(model, data, sums)
    return sums


def test_dense_layers(mlp):
    data = batches(30, (6,), 3)
    sums = summed_up(mlp, data)
    assert set(sums.inputs) == set(sums.deltas) == {"0.weight", "2.weight", "4.weight"}
    for place in (0, 2, 4):
        received, returned = (torch.cat(each) for each in rows_of(mlp, mlp[place], data))
        for kept, rows in ((sums.inputs, received), (sums.deltas, returned)):
            found = kept[f"{place}.weight"]
            assert found.num_rows == found.num_examples == len(rows)
            torch.testing.assert_close(found.second_moment, rows.T @ rows / len(rows))
    assert sums.unseen == {}


@pytest.mark.parametrize("positions", [None, 7])
def test_convolutions_give_patches(positions):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3)
    ).double()
    data = batches(12, (2, 8, 8), 3)
    sums = summed_up(model, data, positions)
    received, returned = rows_of(model, model[0], data)
    patches = torch.cat([F.unfold(each, 3, stride=2, padding=1) for each in received])
    deltas = torch.cat([each.flatten(2) for each in returned])
    found = sums.inputs["0.weight"]
    assert found.num_examples == len(patches)
    if positions is None:
        for kept, each in ((sums.inputs, patches), (sums.deltas, deltas)):
            rows = each.transpose(1, 2).flatten(0, 1)
            assert kept["0.weight"].num_rows == len(rows)
            torch.testing.assert_close(kept["0.weight"].second_moment, rows.T @ rows / len(rows))
    else:
        assert found.num_rows == 7 * len(patches)


def test_what_is_no_plain_product_is_named():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), nn.Flatten(), nn.Linear(4 * 36, 3)).double()
    sums = summed_up(model, batches(8, (4, 8, 8), 3))
    assert sums.unseen == {"0.weight": "its inputs and outputs fall into groups"}
    assert set(sums.inputs) == {"2.weight"}


def test_wide_matrices_are_named():
    model = nn.Linear(3000, 3).double()
    sums = summed_up(model, batches(8, (3000,), 3))
    assert "3,000 columns" in sums.unseen["weight"]
    assert "weight" not in sums.inputs and "weight" in sums.deltas
