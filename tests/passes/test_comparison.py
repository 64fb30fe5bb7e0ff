import pytest
import torch
from torch import nn

from planted import TinyConv, batches
from surplus.edits import cut, to_raw
from surplus.masks import Mask, enforce
from surplus.passes import activations, compare, file_bytes, num_macs, num_parameters, performance
from surplus.store import write_bundle
from surplus.units import find_units


def test_the_table_is_honest_about_masked_and_cut():
    model = TinyConv().build((1, 4, 4), 3, seed=0)
    data = batches(20, (1, 4, 4), 3, torch.float32)
    example = data[0][0]
    mask = Mask.full(find_units(model, example))
    mask.kept["conv1"][:2] = False
    masked, (smaller, _) = enforce(model, mask), cut(model, mask)
    table = compare(model, masked, smaller, example, {"test": data}, num_rounds=5)
    dense, hidden, small = table.rows()
    assert dense["num_parameters"] == hidden["num_parameters"] > small["num_parameters"]
    assert dense["num_macs"] == hidden["num_macs"] > small["num_macs"]
    assert dense["num_bytes"] == hidden["num_bytes"] > small["num_bytes"]
    assert hidden["difference_to_masked"] == 0
    assert small["difference_to_masked"] < 1e-5 < dense["difference_to_masked"]
    assert small["test_accuracy"] == hidden["test_accuracy"]
    assert all(
        row["latency_lower_milliseconds"]
        <= row["latency_milliseconds"]
        <= row["latency_upper_milliseconds"]
        for row in table.rows()
    )
    assert table.units["latency_milliseconds"] == "ms, batch 20, 1 thread"


def test_costs_are_counted(tmp_path):
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 16, 5)
    )
    example = torch.zeros(7, 2, 4, 4)
    assert num_macs(model, example) == 16 * 3 * 2 * 9 + 48 * 5
    assert num_parameters(model) == 3 * 2 * 9 + 3 + 48 * 5 + 5
    tensors = {name: to_raw(tensor) for name, tensor in model.state_dict().items()}
    write_bundle(tmp_path / "x.safetensors", tensors, {})
    assert file_bytes(model) == (tmp_path / "x.safetensors").stat().st_size


def test_performance_counts_and_restores_the_mode(mlp):
    mlp.train()
    data = batches(11, (6,), 3)
    found = performance(mlp, data)
    outputs = torch.cat([mlp(inputs) for inputs, _ in data])
    targets = torch.cat([targets for _, targets in data])
    assert found.num_correct == int((outputs.argmax(1) == targets).sum())
    assert found.loss == pytest.approx(
        float(nn.functional.cross_entropy(outputs, targets).detach())
    )
    assert mlp.training


def test_activations_are_seen_without_a_trace(mlp, example):
    units = find_units(mlp, example)
    data = batches(5, (6,), 3)
    seen = list(activations(mlp.train(), units["0"].tap, data))
    assert [each.shape for each in seen] == [(5, 8, 1)] * 2
    assert torch.equal(seen[0][:, :, 0], mlp[1](mlp[0](data[0][0])))
    assert mlp.training and all(not module._forward_hooks for module in mlp.modules())
