"""Spectra: every number against obvious loops, and matrices whose spectrum is known."""

import math
import statistics

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from surplus.passes.spectra import (
    Decomposed,
    MarchenkoPastur,
    against_log_normal,
    collapsed_share,
    effective_rank,
    elbow,
    fit_bulk,
    fit_power_law,
    fit_tails,
    numerical_rank,
    participation_ratio,
    permuted_singular_values,
    phase_of,
    random_directions,
    relative_errors,
    singular_values,
    spectral_entropy,
    stable_rank,
)

SHAPES = [(300, 100), (784, 300), (1000, 500), (512, 512)]


def gaussian(rows, columns, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, columns, dtype=torch.float64, generator=generator)


def uniform(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, dtype=torch.float64, generator=generator)


def planted(rows, columns, rank, strength, seed=0):
    """Gaussian noise and orthonormal directions whose eigenvalues are `strength` times the upper edge."""
    edge = MarchenkoPastur(num_long=rows, num_short=columns).upper
    left = torch.linalg.qr(gaussian(rows, rank, seed + 1000))[0]
    right = torch.linalg.qr(gaussian(columns, rank, seed + 2000))[0]
    return gaussian(rows, columns, seed) + math.sqrt(strength * edge * rows) * left @ right.T


def eigenvalues(W):
    return singular_values(W).square() / max(W.shape)


def bulk_of(W):
    return fit_bulk(eigenvalues(W), max(W.shape), min(W.shape))


def phase(W, num_draws=5):
    """Tell the phase of a matrix with all that this takes."""
    long, short = max(W.shape), min(W.shape)
    values = eigenvalues(W)
    positive = values[values > 1e-12 * values[0]]
    tail = fit_power_law(positive)
    comparison = None
    if tail is not None:
        comparison = against_log_normal(values[values >= tail.x_min], tail.x_min, tail.alpha)
    draws = [permuted_singular_values(W, draw, 0).square() / long for draw in range(num_draws)]
    fits = [fit_bulk(draw, long, short) for draw in draws]
    spikes = statistics.median(fit.num_spikes if fit else 0 for fit in fits)
    return phase_of(values, fit_bulk(values, long, short), tail, comparison, spikes)


# Singular values


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 50))
def test_singular_values_are_those_of_the_decomposition(rows, columns, seed):
    W = gaussian(rows, columns, seed)
    expected = np.linalg.svd(W.numpy(), compute_uv=False)
    # The square root of a Gram matrix's rounding is what small values may be off by.
    assert np.abs(singular_values(W).numpy() - expected).max() <= 1e-7 * expected[0]
    assert np.abs(singular_values(W, small=True).numpy() - expected).max() <= 1e-9 * expected[0]


@pytest.mark.parametrize("shape", [(300, 129), (128, 400), (257, 256), (1, 7)])
def test_singular_values_of_matrices_taken_in_blocks(shape):
    W = gaussian(*shape)
    expected = np.linalg.svd(W.numpy(), compute_uv=False)
    assert singular_values(W).numpy() == pytest.approx(expected, rel=1e-8)
    assert torch.allclose(singular_values(W), singular_values(W.T), rtol=1e-10)
    assert torch.allclose(singular_values(W.float()), singular_values(W), rtol=1e-4)


def test_small_values_keep_their_digits_where_asked_for():
    wanted = torch.tensor([1.0, 1e-3, 1e-9, 1e-12], dtype=torch.float64)
    left, right = random_directions(6, 1)[:, :4], random_directions(4, 2)
    W = torch.stack([left * wanted @ right.T, left @ right.T])
    found = singular_values(W, small=True)
    assert found[0].numpy() == pytest.approx(wanted.numpy(), rel=1e-3)
    assert found[1].numpy() == pytest.approx(np.ones(4))


# The law of noise


@pytest.mark.parametrize("shape", [(300, 100), (64, 64), (4608, 512), (1000, 1)])
def test_the_share_below_is_the_integral_of_the_density(shape):
    law = MarchenkoPastur(num_long=shape[0], num_short=shape[1], variance=0.7)
    # Steps of equal angle tame the square roots at both edges, and the pole of square matrices.
    angle = (np.arange(20000) + 0.5) / 20000 * math.pi
    middle, half = (law.upper + law.lower) / 2, (law.upper - law.lower) / 2
    points = middle - half * np.cos(angle)
    weights = half * np.sin(angle) * math.pi / 20000
    density = law.density(torch.from_numpy(points)).numpy()
    integral = np.cumsum(density * weights)
    assert integral[-1] == pytest.approx(1, abs=1e-6)
    assert (density * weights * points).sum() == pytest.approx(0.7, abs=1e-6)
    found = law.cumulative(torch.from_numpy(points)).numpy()
    assert np.abs(found - (integral - density * weights / 2)).max() < 1e-4
    ends = law.cumulative(torch.tensor([law.lower / 2, law.lower, law.upper, 2 * law.upper]))
    assert ends.numpy() == pytest.approx([0, 0, 1, 1], abs=1e-6)


@given(st.integers(1, 500), st.integers(1, 500), st.floats(0.01, 100))
def test_quantiles_undo_the_share_below(one, other, variance):
    law = MarchenkoPastur(num_long=max(one, other), num_short=min(one, other), variance=variance)
    shares = torch.linspace(0.01, 0.99, 9, dtype=torch.float64)
    found = law.cumulative(law.quantiles(shares)).numpy()
    assert found == pytest.approx(shares.numpy(), abs=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_largest_eigenvalue_of_noise_lies_at_the_edge(shape):
    law = MarchenkoPastur(num_long=shape[0], num_short=shape[1])
    scores = [
        (float(eigenvalues(gaussian(*shape, seed))[0]) - law.upper) / law.edge_scale
        for seed in range(6)
    ]
    # The law of Tracy and Widom has mean -1.21 and standard deviation 1.27.
    assert all(-3 < (score + 1.21) / 1.27 < 3 for score in scores)
    assert abs(statistics.mean(scores) + 1.21) < 3 * 1.27 / math.sqrt(6)


@pytest.mark.parametrize("shape", SHAPES)
def test_noise_is_found_to_be_noise(shape):
    for seed in range(4):
        W = 0.3 * gaussian(*shape, seed)
        bulk = bulk_of(W)
        assert bulk.num_spikes == 0 and bulk.has_edge
        assert bulk.law.variance == pytest.approx(0.09, rel=0.03)
        assert bulk.ks_distance < 0.05
        assert bulk.soft_rank == pytest.approx(1, abs=0.08)
        assert bulk.spike_share == 0
        assert bulk.bulk_energy * max(shape) == pytest.approx(float(W.square().sum()))


@pytest.mark.parametrize("shape", SHAPES)
def test_three_planted_directions_are_three_spikes(shape):
    for seed in range(4):
        W = planted(*shape, rank=3, strength=3, seed=seed)
        bulk = bulk_of(W)
        assert bulk.num_spikes == 3
        assert bulk.law.variance == pytest.approx(1, rel=0.04)
        top = float(singular_values(W)[:3].square().sum())
        assert bulk.spike_energy * max(shape) == pytest.approx(top)
        assert bulk.spike_share == pytest.approx(top / float(W.square().sum()))


def test_the_fit_scales_with_the_weights_and_does_not_see_transposition():
    W = planted(300, 100, 3, 3)
    bulk, scaled, turned = bulk_of(W), bulk_of(100 * W), bulk_of(W.T)
    assert scaled.law.variance == pytest.approx(1e4 * bulk.law.variance)
    assert scaled.ks_distance == pytest.approx(bulk.ks_distance)
    assert scaled.num_spikes == bulk.num_spikes == turned.num_spikes
    assert turned.law.variance == pytest.approx(bulk.law.variance)


def test_the_distance_to_the_law_is_that_of_all_steps():
    bulk = bulk_of(planted(40, 12, 1, 4))
    values = [
        float(v) for v in eigenvalues(planted(40, 12, 1, 4)).flip(0) if float(v) <= bulk.threshold
    ]
    distance = 0.0
    for place, value in enumerate(values):
        below = float(bulk.law.cumulative(torch.tensor([value])))
        for step in (place, place + 1):
            distance = max(distance, abs(below - step / len(values)))
    assert bulk.ks_distance == pytest.approx(distance)


def test_heavy_tails_do_not_fit_the_law_of_noise():
    signs = gaussian(300, 100).sign()
    pareto = bulk_of(signs * uniform(300, 100, seed=1).pow(-1 / 1.5))
    assert pareto.num_spikes > 10 and pareto.soft_rank < 0.1
    student = gaussian(512, 512) / (sum(gaussian(512, 512, s) ** 2 for s in (1, 2, 3)) / 3).sqrt()
    assert bulk_of(student).num_spikes > 3
    assert bulk_of(student).soft_rank < 0.75


def test_without_noise_there_is_no_fit():
    assert bulk_of(torch.ones(30, 20, dtype=torch.float64)) is None
    assert bulk_of(gaussian(30, 9) @ gaussian(9, 20)) is None


def test_where_half_would_be_spikes_there_is_no_edge():
    decay = torch.exp(-torch.arange(100, dtype=torch.float64) / 8)
    bulk = bulk_of(gaussian(300, 100) * decay)
    assert not bulk.has_edge
    assert bulk.num_spikes <= 50


# Power laws


def naive_power_law(values, min_tail):
    ordered = sorted(float(value) for value in values)
    best = (math.inf, 0.0, 0)
    for start in range(len(ordered) - min_tail + 1):
        tail = ordered[start:]
        if start and tail[0] == ordered[start - 1]:
            continue
        logs = sum(math.log(value / tail[0]) for value in tail)
        if logs <= 1e-12:
            continue
        alpha = 1 + len(tail) / logs
        distance = max(
            abs(1 - (value / tail[0]) ** (1 - alpha) - place / len(tail))
            for place, value in enumerate(tail)
        )
        if distance < best[0] - 1e-12:
            best = (distance, alpha, len(tail))
    return best


@given(st.integers(2, 70), st.integers(2, 12), st.integers(0, 200), st.sampled_from("abc"))
def test_every_x_min_is_tried(count, min_tail, seed, kind):
    x = uniform(count, seed=seed)
    values = {"a": x.pow(-0.5), "b": (5 * x).ceil(), "c": (3 * x).exp()}[kind]
    distance, alpha, num_tail = naive_power_law(values, min_tail)
    found = fit_power_law(values, min_tail)
    if num_tail == 0:
        assert found is None
        return
    assert found.ks_distance == pytest.approx(distance, abs=1e-10)
    assert found.alpha == pytest.approx(alpha, rel=1e-8)
    assert found.num_tail == num_tail
    assert found.standard_error == pytest.approx((alpha - 1) / math.sqrt(num_tail))


def test_samples_together_are_samples_alone():
    values = uniform(7, 300, seed=3).pow(-0.7).sort(dim=1).values
    together = fit_tails(values)
    for each, alpha, start in zip(values, together.alphas, together.starts, strict=True):
        alone = fit_power_law(each)
        assert (alone.alpha, alone.num_tail) == (float(alpha), 300 - int(start))


def test_pareto_samples_have_their_exponent():
    found = [fit_power_law(uniform(2000, seed=seed).pow(-1 / 2)) for seed in range(12)]
    alphas = [each.alpha for each in found]
    assert statistics.mean(alphas) == pytest.approx(3, abs=0.05)
    assert sum(abs(alpha - 3) < 0.15 for alpha in alphas) >= 11
    assert all(abs(alpha - 3) < 0.25 for alpha in alphas)


@pytest.mark.parametrize("scale", [1e-9, 1, 1e9])
def test_the_exponent_does_not_depend_on_the_scale(scale):
    values = uniform(200).pow(-0.4)
    first, second = fit_power_law(values), fit_power_law(scale * values)
    assert second.alpha == pytest.approx(first.alpha, rel=1e-9)
    assert second.x_min == pytest.approx(scale * first.x_min)


def test_too_few_or_equal_values_have_no_power_law():
    assert fit_power_law(torch.arange(1.0, 10.0)) is None
    assert fit_power_law(torch.full((30,), 2.5)) is None


def naive_log_normal(y):
    """The greatest log-likelihood of a normal law cut off at zero, on a grid."""
    best = -math.inf
    for mu in np.linspace(-6, 3, 181):
        for sigma in np.linspace(0.2, 4, 191):
            share = 0.5 * math.erfc(-mu / sigma / math.sqrt(2))
            squares = float((((y - mu) / sigma) ** 2).sum())
            norm = math.log(sigma * math.sqrt(2 * math.pi) * share)
            best = max(best, -squares / 2 - len(y) * norm)
    return best


def test_the_likelihood_ratio_is_that_of_the_best_log_normal_law():
    tail = gaussian(400, 1, 3).flatten().exp()
    tail = tail[tail > 1.3]
    y = (tail / 1.3).log().numpy()
    alpha = 1 + len(y) / y.sum()
    power = len(y) * math.log(alpha - 1) - (alpha - 1) * y.sum()
    found = against_log_normal(tail, 1.3, alpha)
    assert found.log_likelihood_ratio == pytest.approx(power - naive_log_normal(y), abs=0.02)


def test_log_normal_tails_are_told_from_power_laws():
    values = gaussian(3000, 1).flatten().exp()
    tail = values[values > 1]
    alpha = 1 + len(tail) / float(tail.log().sum())
    found = against_log_normal(tail, 1.0, alpha)
    assert found.log_likelihood_ratio < 0 and found.p_value < 1e-6
    pareto = uniform(3000).pow(-1 / 2)
    alpha = 1 + len(pareto) / float(pareto.log().sum())
    assert against_log_normal(pareto, 1.0, alpha).p_value > 0.1
    assert against_log_normal(torch.full((9,), 2.0), 1.0, 2.0) == (0.0, 1.0)


# Ranks


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 100))
def test_ranks_agree_with_their_sums(rows, columns, seed):
    values = singular_values(gaussian(rows, columns, seed), small=True)
    s = [float(value) for value in values]
    energy = sum(each**2 for each in s)
    assert stable_rank(values) == pytest.approx(energy / s[0] ** 2)
    entropy = -sum(each / sum(s) * math.log(each / sum(s)) for each in s if each > 0)
    assert effective_rank(values) == pytest.approx(math.exp(entropy))
    assert participation_ratio(values) == pytest.approx(energy**2 / sum(each**4 for each in s))
    if len(s) > 1:
        shares = [each**2 / energy for each in s if each > 0]
        entropy = -sum(share * math.log(share) for share in shares) / math.log(len(s))
        assert spectral_entropy(values, len(s)) == pytest.approx(entropy)
    errors = [math.sqrt(sum(each**2 for each in s[k:]) / energy) for k in range(len(s) + 1)]
    assert relative_errors(values).tolist() == pytest.approx(errors)
    gaps = [1 - k / len(s) - error**2 for k, error in enumerate(errors)]
    assert gaps[elbow(values)] == pytest.approx(max(gaps))


def test_errors_are_those_of_the_best_approximations():
    W = gaussian(9, 6)
    parts, errors = Decomposed(W), relative_errors(singular_values(W))
    for k in range(7):
        left = W - parts.truncated(k)
        assert float(left.norm() / W.norm()) == pytest.approx(float(errors[k]), abs=1e-7)
        spectral = float(np.linalg.norm(left.numpy(), 2))
        assert parts.removed_norm(k) == pytest.approx(spectral, abs=1e-9)
    directions = random_directions(9, 4)
    assert torch.allclose(directions.T @ directions, torch.eye(9, dtype=torch.float64))
    projected = parts.projected(directions, 2)
    assert torch.linalg.matrix_rank(projected) == 2
    assert torch.allclose(parts.projected(directions, 9), W)


def test_a_rank_one_matrix_has_rank_one():
    values = singular_values((gaussian(20, 1) @ gaussian(1, 30)).float())
    assert stable_rank(values) == pytest.approx(1, abs=1e-6)
    assert effective_rank(values) == pytest.approx(1, abs=1e-4)
    assert participation_ratio(values) == pytest.approx(1, abs=1e-6)
    assert numerical_rank(values, 30, torch.finfo(torch.float32).eps) == 1
    assert elbow(values) == 1


def test_the_elbow_is_where_directions_end():
    assert elbow(singular_values(planted(300, 100, 5, 20))) == 5
    noise = elbow(singular_values(gaussian(300, 100)))
    assert 35 <= noise <= 45


# Permutations


def test_permuted_entries_are_the_same_entries():
    W = torch.zeros(8, 5, dtype=torch.float64)
    W[0, 0], W[1, 1] = 3.0, 4.0
    found = {
        tuple(permuted_singular_values(W, draw, 0).round(decimals=9).tolist()) for draw in range(40)
    }
    # Two entries in one row or one column make one direction, and two otherwise.
    assert found == {(4.0, 3.0, 0.0, 0.0, 0.0), (5.0, 0.0, 0.0, 0.0, 0.0)}
    same = permuted_singular_values(W, 3, 7)
    assert torch.equal(same, permuted_singular_values(W, 3, 7))
    stream = torch.get_rng_state()
    permuted_singular_values(W, 1, 1)
    assert torch.equal(stream, torch.get_rng_state())


def test_permuting_takes_planted_directions_apart():
    W = planted(300, 100, 3, 3)
    draws = [permuted_singular_values(W, draw, 0).square() / 300 for draw in range(3)]
    assert [fit_bulk(draw, 300, 100).num_spikes for draw in draws] == [0, 0, 0]


# Phases

MATRICES = {
    "noise": (gaussian, "random-like"),
    "uniform": (lambda n, m, s: uniform(n, m, seed=s) - 0.5, "random-like"),
    "three directions": (lambda n, m, s: planted(n, m, 3, 3, s), "bulk and spikes"),
    "student": (
        lambda n, m, s: (
            gaussian(n, m, s)
            / ((gaussian(n, m, s + 50) ** 2 + gaussian(n, m, s + 60) ** 2) / 2).sqrt()
        ),
        "heavy-tailed",
    ),
    "pareto": (
        lambda n, m, s: gaussian(n, m, s).sign() * uniform(n, m, seed=s + 9).pow(-1 / 1.5),
        "heavy-tailed",
    ),
    "power law": (
        lambda n, m, s: spectrum_of(((torch.arange(m).double() + 0.5) / m).pow(-1 / 2), n, s),
        "heavy-tailed",
    ),
    "exponential decay": (
        lambda n, m, s: spectrum_of((-5 * torch.arange(m).double() / m).exp(), n, s),
        "bulk-decay",
    ),
    "four fifths of the rank": (
        lambda n, m, s: gaussian(n, 4 * m // 5, s) @ gaussian(4 * m // 5, m, s + 1),
        "rank collapse",
    ),
    "rank one": (lambda n, m, s: gaussian(n, 1, s) @ gaussian(1, m, s + 1), "rank collapse"),
}


def spectrum_of(values, rows, seed):
    """A matrix with given eigenvalues."""
    left = torch.linalg.qr(gaussian(rows, len(values), seed))[0]
    right = torch.linalg.qr(gaussian(len(values), len(values), seed + 1))[0]
    return left * values.sqrt() @ right


@pytest.mark.parametrize("shape", [(300, 100), (784, 300), (576, 64)])
@pytest.mark.parametrize("kind", MATRICES)
def test_synthetic_matrices_are_in_their_phases(kind, shape):
    make, expected = MATRICES[kind]
    for seed in (0, 1):
        W = make(*shape, seed)
        assert phase(W) == expected
        assert phase(1e-3 * W.T) == expected


def test_directions_just_beyond_the_edge_bleed_out():
    # One direction whose eigenvalue comes to lie at 1.25 of the edge: (1 + d)(c + d) / d, with c = M / N.
    c = 100 / 300
    edge = (1 + math.sqrt(c)) ** 2
    total = 1.25 * edge - 1 - c
    strength = (total + math.sqrt(total**2 - 4 * c)) / 2
    for seed in range(3):
        assert phase(planted(300, 100, 2, strength / edge, seed)) == "bleeding-out"


def test_a_spike_is_no_loss_of_rank():
    W = gaussian(100, 60) + 1e3 * gaussian(100, 1, 1) @ gaussian(1, 60, 2)
    assert collapsed_share(eigenvalues(W)) == 0
    assert phase(W) == "bulk and spikes"
    assert collapsed_share(torch.zeros(4)) == 1
