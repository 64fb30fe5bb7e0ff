"""Noise and spikes in the weights of networks."""

import math

import pytest
import torch
from torch import nn

from surplus.measures import MarchenkoPasturFit, PowerLawTail, findings, observed
from surplus.measures import matrices as weight_matrices
from surplus.units import find_units

FIT = MarchenkoPasturFit()


def network(fan_in=120, width=90, seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(fan_in, width), nn.ReLU(), nn.Linear(width, 12))
    with torch.no_grad():
        model[0].weight.normal_(std=0.05)
        model[2].weight.normal_(std=0.2)
    return model


def numbers(model, measure=FIT, layer="0", **more):
    example = torch.zeros(2, model[0].in_features)
    seen = observed(model, find_units(model, example), (measure,), **more)
    return {f.quantity: f for _, f in findings(seen, (measure,)) if f.layer == layer}


def signal(model, rank, strength):
    """Orthonormal directions, `strength` times what the largest noise has."""
    W = model[0].weight
    left = torch.linalg.qr(torch.randn(len(W), rank))[0]
    right = torch.linalg.qr(torch.randn(W.shape[1], rank))[0]
    edge = 0.05 * (math.sqrt(W.shape[0]) + math.sqrt(W.shape[1]))
    return strength * edge * left @ right.T


def test_noise_has_its_variance_and_no_spikes():
    model = network()
    found = numbers(model)
    W = model[0].weight.detach().double()
    assert found["bulk_variance"].value == pytest.approx(float(W.square().mean()), rel=0.02)
    assert found["num_spikes"].value == found["permuted_num_spikes"].value == 0
    assert found["ks_distance"].value < 0.05
    assert found["has_edge"].value == 1 and found["num_eigenvalues"].value == 90
    ratio = math.sqrt(90 / 120)
    variance = found["bulk_variance"].value
    assert found["lower_edge"].value == pytest.approx(variance * (1 - ratio) ** 2)
    assert found["upper_edge"].value == pytest.approx(variance * (1 + ratio) ** 2)
    assert found["bulk_energy"].value == pytest.approx(float(W.square().sum()))
    largest = float(torch.linalg.svdvals(W)[0] ** 2 / 120)
    assert found["largest_eigenvalue"].value == pytest.approx(largest)
    assert found["soft_rank"].value == pytest.approx(found["upper_edge"].value / largest)


def test_signal_stands_out_and_its_permutation_does_not():
    model = network()
    with torch.no_grad():
        model[0].weight.add_(signal(model, 4, 2.0))
    found = numbers(model)
    assert found["num_spikes"].value == 4 and found["permuted_num_spikes"].upper == 0
    top = torch.linalg.svdvals(model[0].weight.detach().double()).square()
    assert found["spike_energy"].value == pytest.approx(float(top[:4].sum()))
    assert found["bulk_energy"].value == pytest.approx(float(top[4:].sum()))
    assert found["spike_share"].value == pytest.approx(float(top[:4].sum() / top.sum()))
    control = found["permuted_bulk_variance"]
    assert control.lower <= control.value <= control.upper
    assert (control.n, control.seed) == (3, 0)


def test_noise_shrinks_while_signal_grows_over_a_run():
    start = network()
    direction = signal(start, 2, 1.0)
    spikes, noise = [], []
    for step in range(4):
        model = network()
        with torch.no_grad():
            model[0].weight.mul_(0.9**step).add_((1.5 + step) * direction)
        found = numbers(model)
        assert found["num_spikes"].value == 2
        spikes.append(found["spike_energy"].value)
        noise.append(found["bulk_variance"].value)
    assert spikes == sorted(spikes)
    assert noise == pytest.approx([noise[0] * 0.81**step for step in range(4)], rel=0.02)


def test_initial_weights_are_fitted_too():
    model, start = network(seed=1), network(seed=2)
    found = numbers(model, initial=start.state_dict())
    alone = numbers(start)
    for quantity in ("bulk_variance", "num_spikes", "ks_distance", "soft_rank"):
        assert found[f"initial_{quantity}"].value == pytest.approx(alone[quantity].value)
    assert "initial_bulk_variance" not in alone


def test_removed_units_leave_no_trace():
    model = network()
    with torch.no_grad():
        model[0].weight[60:] = 0
        model[0].weight[:, 100:] = 0
    found = numbers(model)
    assert found["num_eigenvalues"].value == 60
    assert found["num_spikes"].value == 0 and found["ks_distance"].value < 0.06
    assert found["bulk_variance"].note == "30 rows and 20 columns of zeros are left out"


def test_positions_of_a_kernel_are_pooled():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(20, 40, 3), nn.ReLU(), nn.Conv2d(40, 12, 1))
    measure = MarchenkoPasturFit(by_position=True)
    seen = observed(model, find_units(model, torch.zeros(2, 20, 5, 5)), (measure,))
    found = {f.quantity: f.value for _, f in findings(seen, (measure,)) if f.layer == "0"}
    assert found["num_eigenvalues"] == 9 * 20
    assert found["lower_edge"] == pytest.approx(
        found["bulk_variance"] * (1 - math.sqrt(20 / 40)) ** 2
    )
    assert found["num_spikes"] == 0 and found["ks_distance"] < 0.05


def test_what_cannot_be_fitted_is_named_with_the_reason():
    model = network()
    with torch.no_grad():
        model[0].weight.fill_(0.3)
    assert numbers(model)["untreated"].note == (
        "at least half of its eigenvalues are zero, so there is no noise to fit"
    )
    with torch.no_grad():
        model[0].weight[0, 0] = float("inf")
    assert numbers(model)["untreated"].note == "some of its weights are NaN or infinite"
    with torch.no_grad():
        model[0].weight.zero_()
    assert numbers(model)["untreated"].note == "all its weights are zero"
    thin = nn.Sequential(nn.Linear(30, 4), nn.ReLU(), nn.Linear(4, 1))
    assert numbers(thin)["untreated"].note == (
        "a matrix of 4 x 30 has 4 eigenvalues, and fewer than 8 say nothing about a law"
    )
    assert numbers(thin, layer="2")["untreated"].note.startswith("a matrix of 1 x 4 has 1")


def test_a_network_is_decomposed_once(monkeypatch):
    counts = []
    real = weight_matrices.singular_values

    def counted(W, **more):
        counts.append(tuple(W.shape))
        return real(W, **more)

    monkeypatch.setattr(weight_matrices, "singular_values", counted)
    model = network()
    by = (FIT, PowerLawTail(num_draws=1, num_resamples=2))
    findings(observed(model, find_units(model, torch.zeros(2, 120)), by), by)
    assert sorted(counts) == [(1, 12, 90), (1, 90, 120)]
