"""Accuracy on a few directions: against projections done by hand, and on networks that need one direction."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from planted import batches
from surplus.base import UnknownName
from surplus.measures import LowRankAccuracy, findings, observed
from surplus.passes import performance
from surplus.units import find_units


def numbers(model, measure, data, **more):
    seen = observed(model, find_units(model, data[0][0][:2]), (measure,), data, **more)
    return {(f.quantity, f.layer, f.at): f for _, f in findings(seen, (measure,))}


def changed(model, weights):
    other = copy.deepcopy(model)
    with torch.no_grad():
        for layer, W in weights.items():
            other.get_parameter(f"{layer}.weight").copy_(W)
    return other


def low_rank(W, k):
    u, s, v = np.linalg.svd(W.numpy(), full_matrices=False)
    total = np.zeros(W.shape)
    for i in range(min(k, len(s))):
        total += s[i] * np.outer(u[:, i], v[i])
    return torch.from_numpy(total)


def test_it_is_the_accuracy_of_projected_networks(mlp):
    data, start = batches(40, (6,), 3), copy.deepcopy(mlp)
    with torch.no_grad():
        for parameter in mlp.parameters():
            parameter.add_(0.8 * torch.randn(parameter.shape, dtype=torch.float64))
    found = numbers(mlp, LowRankAccuracy(num_draws=2), data, initial=start.state_dict())
    assert found["accuracy", None, None].value == performance(mlp, data).accuracy
    layers = ("0", "2", "4")
    now = {layer: mlp.get_parameter(f"{layer}.weight").detach() for layer in layers}
    began = {layer: start.get_parameter(f"{layer}.weight").detach() for layer in layers}
    greatest = {"0": 6, "2": 5, "4": 3, None: 6}
    for which, rank in greatest.items():
        chosen = layers if which is None else (which,)
        for k in (each for each in (1, 2, 4) if each <= rank):
            updates = {each: low_rank(now[each] - began[each], k) for each in chosen}
            expected = {
                "truncated_weight": {each: low_rank(now[each], k) for each in chosen},
                "truncated_update": {each: began[each] + updates[each] for each in chosen},
                "update_residual": {each: now[each] - updates[each] for each in chosen},
            }
            for quantity, weights in expected.items():
                finding = found[f"{quantity}_accuracy", which, k]
                assert finding.value == performance(changed(mlp, weights), data).accuracy
                assert finding.n == 80
            control = found["random_update_accuracy", which, k]
            assert (control.n, control.seed) == (2, 0)
            assert control.lower <= control.value <= control.upper
    for layer in layers:
        s = np.linalg.svd(now[layer].numpy(), compute_uv=False)
        t = np.linalg.svd((now[layer] - began[layer]).numpy(), compute_uv=False)
        for k in (1, 2):
            assert found["removed_weight_spectral_norm", layer, k].value == pytest.approx(s[k])
            assert found["removed_update_spectral_norm", layer, k].value == pytest.approx(t[k])


def one_direction(width=40, seed=0):
    """A network that learnt one direction: the class is the sign of a projection, and the update has rank one."""
    generator = torch.Generator().manual_seed(seed)
    direction = torch.nn.functional.normalize(torch.randn(20, generator=generator), dim=0)
    model = nn.Sequential(nn.Linear(20, width, bias=False), nn.ReLU(), nn.Linear(width, 2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.02 * torch.randn(parameter.shape, generator=generator))
        start = copy.deepcopy(model.state_dict())
        signs = torch.ones(width)
        signs[::2] = -1
        model[0].weight.add_(torch.outer(signs, direction))
        model[2].weight.add_(torch.stack([-signs, signs]))
        # What training also leaves behind: large, and of no use, since no input ever looks there.
        model[0].weight.add_(0.5 * torch.outer(torch.ones(width), torch.eye(20)[0]))
    inputs = torch.randn(200, 20, generator=generator)
    inputs[:, 0] = 0
    labels = (inputs @ direction > 0).long()
    return model, start, [(inputs, labels)]


def test_one_direction_of_the_update_carries_the_accuracy():
    model, start, data = one_direction()
    found = numbers(model, LowRankAccuracy(ranks=(1, 2)), data, initial=start)
    assert found["accuracy", None, None].value > 0.97
    assert found["truncated_update_accuracy", "0", 1].value > 0.97
    assert found["update_residual_accuracy", "0", 1].value < 0.8
    assert found["random_update_accuracy", "0", 1].value < 0.97
    assert found["removed_update_spectral_norm", "0", 1].value > 2
    assert found["removed_update_spectral_norm", "0", 2].value < 1e-3
    assert found["truncated_update_accuracy", None, 1].value > 0.97


def test_without_a_start_the_weights_are_judged_and_the_update_is_named(mlp):
    data = batches(10, (6,), 3)
    found = numbers(mlp, LowRankAccuracy(ranks=(2,), together=False), data)
    assert {quantity for quantity, _, _ in found} == {
        "accuracy",
        "removed_weight_spectral_norm",
        "truncated_weight_accuracy",
        "untreated",
    }
    assert "initialisation" in found["untreated", None, None].note
    assert (None, 2) not in {(layer, at) for _, layer, at in found}


def test_what_cannot_be_judged_is_named_with_the_reason(mlp):
    inputs = batches(10, (6,), 3)[0][0]
    found = numbers(mlp, LowRankAccuracy(), [(inputs, torch.randn(10, 3))])
    assert found["untreated", None, None].note == (
        "it judges accuracy, and the targets are not one class label for each example"
    )
    data = batches(10, (6,), 3)
    start = copy.deepcopy(mlp.state_dict())
    with torch.no_grad():
        mlp[0].weight.add_(0.1)
        mlp[4].weight.zero_()
    seen = observed(mlp, find_units(mlp, inputs[:2]), (LowRankAccuracy(),), data, initial=start)
    notes = [(f.layer, f.note) for _, f in findings(seen, (LowRankAccuracy(),)) if f.note]
    assert notes == [
        ("4", "all its weights are zero"),
        ("2", "its weights are those of initialisation"),
        ("4", "all its weights are zero"),
    ]


def test_only_the_layers_that_are_asked_for_are_projected(mlp):
    data, start = batches(40, (6,), 3), {k: v + 1 for k, v in mlp.state_dict().items()}
    found = numbers(mlp, LowRankAccuracy(layers=("2",)), data, initial=start)
    whole = numbers(mlp, LowRankAccuracy(), data, initial=start)
    assert {layer for _, layer, _ in found} == {None, "2"}
    assert all(found[key] == whole[key] for key in found if key[1] == "2")
    with pytest.raises(UnknownName, match="fc9"):
        numbers(mlp, LowRankAccuracy(layers=("fc9",)), data, initial=start)
