"""The spectrum of weight matrices, and how weights become matrices with names."""

import numpy as np
import pytest
import torch
from torch import nn

from surplus.measures import Spectrum, findings, observed
from surplus.measures.matrices import layer_names, trimmed
from surplus.nets import Conv2
from surplus.units import find_units


def numbers(model, example, measure, **more):
    """Everything that is found, by quantity, layer and place on a curve."""
    seen = observed(model, find_units(model, example), (measure,), **more)
    found = findings(seen, (measure,))
    assert len({(f.quantity, f.layer, f.at) for _, f in found}) == len(found)
    return {(f.quantity, f.layer, f.at): f for _, f in found}


def check(found, W, layer, prefix=""):
    s = np.linalg.svd(W, compute_uv=False)
    energy = float((s**2).sum())
    expected = {
        "stable_rank": energy / s[0] ** 2,
        "participation_ratio": energy**2 / (s**4).sum(),
        "effective_rank": np.exp(-sum(p * np.log(p) for p in s / s.sum() if p > 0)),
        "spectral_norm": s[0],
        "frobenius_norm": np.sqrt(energy),
        "log10_squared_spectral_norm": np.log10(s[0] ** 2),
        "log10_squared_frobenius_norm": np.log10(energy),
        "numerical_rank": np.linalg.matrix_rank(W),
        "full_rank": min(W.shape),
    }
    for quantity, value in expected.items():
        assert found[prefix + quantity, layer, None].value == pytest.approx(value, rel=1e-7)
    k = 1
    while k <= len(s):
        error = np.sqrt((s[k:] ** 2).sum() / energy)
        assert found[f"{prefix}relative_error", layer, k].value == pytest.approx(error, abs=1e-7)
        k *= 2


def test_it_is_that_of_every_weight_matrix(mlp, example):
    start = {name: 0.1 + 0.9 * each.detach() ** 2 for name, each in mlp.named_parameters()}
    found = numbers(mlp, example, Spectrum(), initial=start)
    for layer in ("0", "2", "4"):
        W = mlp.get_parameter(f"{layer}.weight").detach()
        check(found, W.numpy(), layer)
        check(found, (W - start[f"{layer}.weight"]).numpy(), layer, "update_")


def test_convolutions_are_filters_by_inputs_and_positions():
    model, example = Conv2(width=0.05).build((1, 8, 8), 3, seed=0), torch.zeros(2, 1, 8, 8)
    found = numbers(model, example, Spectrum())
    weight = model.get_parameter("conv2.weight").detach().double()
    check(found, weight.flatten(1).numpy(), "conv2")


def test_positions_of_a_kernel_are_blocks():
    model, example = Conv2(width=0.05).build((1, 8, 8), 3, seed=0), torch.zeros(2, 1, 8, 8)
    found = numbers(model, example, Spectrum(by_position=True))
    weight = model.get_parameter("conv2.weight").detach().double()
    filters, channels, height, width = weight.shape
    blocks = np.zeros((9 * filters, 9 * channels))
    for place in range(height * width):
        block = weight[:, :, place // width, place % width].numpy()
        rows = slice(place * filters, (place + 1) * filters)
        blocks[rows, place * channels : (place + 1) * channels] = block
    check(found, blocks, "conv2")


def test_ranks_and_eigenvalues_where_asked_for(mlp, example):
    found = numbers(mlp, example, Spectrum(ranks=(0, 3, 99), eigenvalues=True))
    assert {at for quantity, layer, at in found if quantity == "relative_error"} == {0, 3}
    s = np.linalg.svd(mlp[0].weight.detach().numpy(), compute_uv=False)
    got = [found["eigenvalue", "0", number].value for number in range(1, 7)]
    assert got == pytest.approx((s**2).tolist())


def test_planted_ranks_are_found(example):
    model = nn.Sequential(nn.Linear(6, 30), nn.ReLU(), nn.Linear(30, 20), nn.Linear(20, 3))
    with torch.no_grad():
        model[0].weight.copy_(torch.outer(torch.randn(30), torch.randn(6)))
        model[2].weight.copy_(torch.randn(20, 4) @ torch.randn(4, 30))
    found = numbers(model, example.float(), Spectrum())
    for quantity in ("numerical_rank", "elbow_rank"):
        assert found[quantity, "0", None].value == 1
    assert found["stable_rank", "0", None].value == pytest.approx(1, abs=1e-5)
    assert found["numerical_rank", "2", None].value == 4
    assert found["relative_error", "2", 4].value < 1e-6


def test_small_values_of_double_weights_count():
    model = nn.Sequential(nn.Linear(4, 4, bias=False)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.diag(torch.tensor([1.0, 1e-4, 1e-10, 1e-18])))
    found = numbers(model, torch.zeros(2, 4, dtype=torch.float64), Spectrum())
    assert found["numerical_rank", "0", None].value == 3
    found = numbers(model.float(), torch.zeros(2, 4), Spectrum())
    assert found["numerical_rank", "0", None].value == 2


def test_what_has_no_spectrum_is_named_with_the_reason(example):
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 5), nn.Linear(5, 1)).double()
    with torch.no_grad():
        model[0].weight[1, 2] = float("nan")
        model[2].weight.zero_()
    found = numbers(model, example, Spectrum(), initial=dict(model.state_dict()))
    notes = {(layer, f.quantity): f.note for (_, layer, _), f in found.items() if f.value is None}
    assert notes == {
        ("0", "untreated"): "some of its weights are NaN or infinite",
        ("2", "untreated"): "all its weights are zero",
        ("0", "update_untreated"): "some of its weights are NaN or infinite",
        ("2", "update_untreated"): "all its weights are zero",
        ("3", "update_untreated"): "its weights are those of initialisation",
    }
    assert found["stable_rank", "3", None].value == pytest.approx(1)
    assert found["effective_rank", "3", None].value == pytest.approx(1)


def test_constant_weights_are_one_direction(example):
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    torch.nn.init.constant_(model[0].weight, 0.25)
    found = numbers(model, example, Spectrum())
    for quantity in ("numerical_rank", "stable_rank", "participation_ratio", "elbow_rank"):
        assert found[quantity, "0", None].value == pytest.approx(1, abs=1e-6)


def test_a_start_of_another_shape_is_named(mlp, example):
    start = {name: each.detach().clone() + 1 for name, each in mlp.named_parameters()}
    start["2.weight"] = torch.zeros(7, 7)
    found = numbers(mlp, example, Spectrum(), initial=start)
    note = found["update_untreated", "2", None].note
    assert note == "its weights had another shape at initialisation"


def test_layers_are_called_by_their_parameters():
    names = ["a.weight", "a.b.weight", "rnn.weight_ih_l0", "queries", "queries.weight"]
    assert layer_names(names) == {
        "a.weight": "a",
        "a.b.weight": "a.b",
        "rnn.weight_ih_l0": "rnn.weight_ih_l0",
        "queries": "queries",
        "queries.weight": "queries.weight",
    }


def test_rows_and_columns_of_zeros_are_trimmed():
    W = torch.randn(5, 4 * 9, dtype=torch.float64)
    W[1] = 0
    W[:, 9:18] = 0
    W[:, 20] = 0
    flat = trimmed(W, torch.Size((5, 4, 3, 3)), by_position=False)
    assert flat.stack.shape == (1, 4, 26) and flat.full_shape == (5, 36)
    assert flat.note == "1 rows and 10 columns of zeros are left out"
    positions = trimmed(W, torch.Size((5, 4, 3, 3)), by_position=True)
    assert positions.stack.shape == (9, 4, 3)
    assert positions.note == "1 rows and 1 columns of zeros are left out"
    assert torch.equal(positions.stack[4, 0], W.view(5, 4, 9)[0, [0, 2, 3], 4])
    assert trimmed(W[2:, :9], torch.Size((3, 1, 3, 3)), by_position=False).note is None
