"""Power laws in the spectra of networks, their controls, and their phases."""

import math
import statistics

import pytest
import torch
from torch import nn

from surplus.measures import PowerLawTail, findings, observed
from surplus.passes.spectra import PHASES, fit_power_law
from surplus.units import find_units

FIT = PowerLawTail()


def network(fan_in=100, width=80, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(fan_in, width), nn.ReLU(), nn.Linear(width, 3))


def with_spectrum(model, values):
    W = model[0].weight
    left = torch.linalg.qr(torch.randn(len(W), len(W)).double())[0]
    right = torch.linalg.qr(torch.randn(W.shape[1], len(W)).double())[0]
    with torch.no_grad():
        W.copy_((left * values.sqrt()) @ right.T)
    return model


def numbers(model, measure=FIT, layer="0", **more):
    example = torch.zeros(2, model[0].in_features)
    seen = observed(model, find_units(model, example), (measure,), **more)
    return {f.quantity: f for _, f in findings(seen, (measure,)) if f.layer == layer}


def test_a_planted_exponent_is_found():
    shares = (torch.arange(80, dtype=torch.float64) + 0.5) / 80
    found = numbers(with_spectrum(network(), 7 * shares.pow(-1 / 1.5)))
    alpha = found["alpha"]
    assert alpha.value == pytest.approx(2.5, abs=0.05)
    assert alpha.lower < 2.5 < alpha.upper and alpha.upper - alpha.lower < 2
    assert found["x_min"].value == pytest.approx(7, rel=0.1)
    assert found["num_tail"].value > 70
    assert found["ks_distance"].value < 0.03
    assert found["log_normal_p_value"].value > 0.1
    largest = float(7 * shares[0].pow(-1 / 1.5))
    assert found["alpha_hat"].value == pytest.approx(alpha.value * math.log10(largest), rel=1e-3)
    error = (alpha.value - 1) / math.sqrt(found["num_tail"].value)
    assert found["alpha_standard_error"].value == pytest.approx(error)
    assert PHASES[found["phase"].value] == found["phase"].note == "heavy-tailed"


def test_the_control_is_the_distribution_over_permutations():
    shares = (torch.arange(80, dtype=torch.float64) + 0.5) / 80
    found = numbers(with_spectrum(network(), shares.pow(-1 / 1.5)))
    control = found["permuted_alpha"]
    assert control.value > 1.5 * found["alpha"].value
    assert (control.n, control.seed) == (10, 0)
    assert found["share_of_permuted_below"].value <= 0.1


def test_noise_and_its_permutation_have_the_same_distribution():
    measure = PowerLawTail(num_draws=8, num_resamples=0)
    found = [numbers(network(seed=seed), measure) for seed in range(12)]
    shares = [each["share_of_permuted_below"].value for each in found]
    assert 0.25 < statistics.mean(shares) < 0.75
    assert {each["phase"].note for each in found} == {"random-like"}
    assert all(each["phase"].value == 0 for each in found)


def test_noise_gives_exponents_that_are_called_healthy():
    alphas = [numbers(network(seed=seed))["alpha"].value for seed in range(5)]
    assert statistics.median(alphas) < 10 and min(alphas) < 6


def test_the_fit_is_that_of_the_eigenvalues():
    model = network()
    found = numbers(model, initial=network(seed=1).state_dict())
    for name, which in (("alpha", model), ("initial_alpha", network(seed=1))):
        s = torch.linalg.svdvals(which[0].weight.detach().double())
        assert found[name].value == pytest.approx(fit_power_law(s.square()).alpha, rel=1e-6)


def test_scale_and_transposition_do_not_matter():
    model = network()
    turned, scaled = nn.Sequential(nn.Linear(80, 100), nn.ReLU()), network()
    with torch.no_grad():
        turned[0].weight.copy_(model[0].weight.T)
        scaled[0].weight.mul_(8)
    first, second, third = numbers(model), numbers(turned), numbers(scaled)
    for quantity in ("alpha", "num_tail", "ks_distance", "phase"):
        assert second[quantity].value == pytest.approx(first[quantity].value, rel=1e-6)
        assert third[quantity].value == pytest.approx(first[quantity].value, rel=1e-6)
    assert third["x_min"].value == pytest.approx(64 * first["x_min"].value, rel=1e-6)


def test_phases_of_planted_networks():
    model = network()
    with torch.no_grad():
        left = torch.linalg.qr(torch.randn(80, 3))[0]
        right = torch.linalg.qr(torch.randn(100, 3))[0]
        model[0].weight.add_(3 * left @ right.T)
    assert numbers(model)["phase"].note == "bulk and spikes"
    with torch.no_grad():
        model[0].weight.copy_(torch.randn(80, 20) @ torch.randn(20, 100))
    assert numbers(model)["phase"].note == "rank collapse"


def test_few_eigenvalues_have_a_tail_but_no_phase():
    found = numbers(network(100, 30))
    assert found["alpha"].value > 1
    assert found["phase"].value is None
    assert found["phase"].note == (
        "with 30 eigenvalues, fewer than 50, the phases cannot be told apart"
    )


def test_what_has_no_tail_is_named_with_the_reason():
    assert numbers(network(), layer="2")["untreated"].note == (
        "it has 3 eigenvalues, and a tail needs at least 10"
    )
    model = network()
    torch.nn.init.constant_(model[0].weight, -1.5)
    found = numbers(model)
    assert set(found) == {"phase"} and found["phase"].note == "rank collapse"
    with torch.no_grad():
        model[0].weight[3, 3] = float("nan")
    assert numbers(model)["untreated"].note == "some of its weights are NaN or infinite"


def test_nothing_is_drawn_where_nothing_is_asked_for():
    found = numbers(network(), PowerLawTail(num_draws=0, num_resamples=0))
    assert found["alpha"].lower is None and found["alpha"].seed is None
    assert not any(quantity.startswith("permuted") for quantity in found)
