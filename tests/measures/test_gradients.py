"""Measures of gradients: against loops over examples, and on networks whose gradients are planted."""

import math

import pytest
import torch
from torch import nn

from oracles.gradients import gradients
from planted import batches
from reading import Of, made
from surplus.measures import findings, observed
from surplus.measures.coherence import GradientCoherence
from surplus.measures.el2n import EL2N
from surplus.measures.gradient_noise import GradientNoise
from surplus.measures.gradient_rank import GradientRank
from surplus.measures.gradients import columns_of_layers
from surplus.measures.grand import GraNd
from surplus.nets import Conv2
from surplus.passes import draw, rank_correlation
from surplus.units import find_units

MEASURES = [GradientCoherence(), GradientNoise(), GraNd(), EL2N(), GradientRank()]


def found_by(measure, model, data, **more):
    """The findings of one measure as (quantity, layer, example): finding."""
    units = find_units(model, data[0][0][:2])
    seen = observed(model, units, (measure,), data, **more)
    rows = [finding for _, finding in findings(seen, (measure,))]
    return {(each.quantity, each.layer, each.example): each for each in rows}


def values_by(measure, model, data, **more):
    return {key: each.value for key, each in found_by(measure, model, data, **more).items()}


def all_gradients(model, data):
    """Every example's gradient as a row: of the whole network (None) and of each layer."""
    parts = [gradients(model, *batch) for batch in data]
    names = list(parts[0])
    flat = [torch.cat([part[name] for part in parts]).flatten(1) for name in names]
    whole = {None: torch.cat(flat, 1)}
    for layer, places in columns_of_layers(names).items():
        whole[layer] = torch.cat([flat[place] for place in places], 1)
    return whole


@pytest.fixture
def conv() -> nn.Module:
    return Conv2(width=0.05).build((1, 8, 8), 3, seed=0).double()


@pytest.fixture(params=["mlp", "conv"])
def subject(request, mlp, conv):
    model, shape = (mlp, (6,)) if request.param == "mlp" else (conv, (1, 8, 8))
    return model, batches(15, shape, 3)


def pairs(rows):
    """The mean scalar product of two different examples."""
    total, count = 0.0, 0
    for i, first in enumerate(rows):
        for j, second in enumerate(rows):
            if i != j:
                total, count = total + float(first @ second), count + 1
    return total / count


def test_coherence_is_that_of_loops(subject):
    model, data = subject
    found = found_by(GradientCoherence(), model, data)
    for layer, rows in all_gradients(model, data).items():
        squares = [float(row @ row) for row in rows]
        mean = rows.mean(0)
        alpha = float(mean @ mean) / (sum(squares) / 30)
        assert found["alpha", layer, None].value == pytest.approx(alpha, rel=1e-9)
        assert found["m_alpha", layer, None].value == pytest.approx(30 * alpha, rel=1e-9)
        expected = found["squared_norm_of_expected_gradient", layer, None]
        assert expected.value == pytest.approx(pairs(rows), rel=1e-9)
        unbiased = pairs(rows) / (sum(squares) / 30)
        assert found["alpha_unbiased", layer, None].value == pytest.approx(unbiased, rel=1e-9)


def test_the_network_is_the_weighted_mean_of_its_layers(subject):
    found = values_by(GradientCoherence(), *subject)
    layers = [layer for quantity, layer, _ in found if quantity == "alpha" and layer]
    shares = [found["share_of_squared_norms", layer, None] for layer in layers]
    alphas = [found["alpha", layer, None] for layer in layers]
    assert sum(shares) == pytest.approx(1)
    mean = sum(share * alpha for share, alpha in zip(shares, alphas, strict=True))
    assert mean == pytest.approx(found["alpha", None, None], rel=1e-9)


@pytest.mark.parametrize("measure", [GradientCoherence(), GradientNoise()])
def test_intervals_are_those_of_leaving_out_each_example(measure, subject):
    model, data = subject
    found = found_by(measure, model, data)
    for layer, rows in all_gradients(model, data).items():
        left = [torch.cat([rows[:place], rows[place + 1 :]]) for place in range(30)]
        alphas = [pairs(each) / float(each.square().sum(1).mean()) for each in [rows, *left]]
        spread = torch.tensor(alphas[1:], dtype=torch.float64).var(correction=0)
        reach = 1.959964 * math.sqrt(29 * float(spread))
        low, high = alphas[0] - reach, alphas[0] + reach
        if isinstance(measure, GradientCoherence):
            each = found["alpha_unbiased", layer, None]
            assert (each.lower, each.upper) == pytest.approx((low, high), rel=1e-6)
        else:
            each = found["noise_scale_examples", layer, None]
            if alphas[0] <= 0:
                assert each.value is None and "cannot be told from zero" in each.note
                continue
            assert each.value == pytest.approx(1 / alphas[0] - 1, rel=1e-6)
            assert each.lower == pytest.approx(max(1 / high - 1, 0), rel=1e-6)
            assert (each.upper is None) == (low <= 0)
        assert each.n == 30 and each.seed == 0


def separate(count: int) -> nn.Module:
    """Each example is the only one that its row of the table, and nothing else, depends on."""

    def run(self, x):
        return self.table(x[:, 0])

    table = nn.Embedding(count, 3)
    nn.init.zeros_(table.weight)
    return Of(run, table=table).double()


def of_numbers(measure, model, inputs, targets):
    """The findings on inputs from which no units are traced."""
    example = inputs[:2]
    seen = observed(
        model, find_units(nn.Linear(2, 2), torch.randn(2, 2)), (measure,), [(inputs, targets)]
    )
    assert len(example) == 2
    return {(each.quantity, each.layer): each.value for _, each in findings(seen, (measure,))}


@pytest.mark.parametrize(
    ("numbers", "labels", "m_alpha", "rank"),
    [
        (torch.arange(8), torch.zeros(8), 1.0, 8),
        (torch.zeros(8), torch.zeros(8), 8.0, 1),
        (torch.arange(8) // 4, torch.zeros(8), 4.0, 2),
    ],
    ids=["orthogonal", "identical", "two orthogonal groups"],
)
def test_planted_gradients(numbers, labels, m_alpha, rank):
    inputs, targets = numbers.long()[:, None], labels.long()
    found = of_numbers(GradientCoherence(), separate(8), inputs, targets)
    assert found["m_alpha", None] == pytest.approx(m_alpha, abs=1e-6)
    noise = of_numbers(GradientNoise(), separate(8), inputs, targets)
    unbiased = (m_alpha - 1) / 7
    if unbiased:
        assert noise["noise_scale_examples", None] == pytest.approx(1 / unbiased - 1, abs=1e-6)
    else:
        assert noise["noise_scale_examples", None] is None
    found = of_numbers(GradientRank(), separate(8), inputs, targets)
    assert found["numerical_rank", None] == rank
    assert found["effective_rank", None] == pytest.approx(rank)
    assert found["participation_ratio", None] == pytest.approx(rank)


def test_opposite_gradients_cancel():
    """Two classes with equal logits: the gradients of one label are the negatives of those of the other."""

    def run(self, x):
        return self.table.weight[:1].expand(len(x), -1)

    table = nn.Embedding(1, 2)
    nn.init.zeros_(table.weight)
    model = Of(run, table=table).double()
    found = of_numbers(GradientCoherence(), model, torch.zeros(8, 1).long(), torch.arange(8) % 2)
    assert found["alpha", None] == pytest.approx(0, abs=1e-12)
    assert found["m_alpha", None] == pytest.approx(0, abs=1e-12)
    assert found["alpha_unbiased", None] == pytest.approx(-1 / 7)


def test_grand_and_el2n_are_those_of_loops(subject):
    model, data = subject
    grand, el2n = values_by(GraNd(), model, data), values_by(EL2N(), model, data)
    whole = all_gradients(model, data)
    last = list(model.named_children())[-1][0]
    bias = torch.cat([gradients(model, *batch)[f"{last}.bias"] for batch in data])
    for example in range(30):
        norm = float(whole[None][example].norm())
        assert grand["grand", None, example] == pytest.approx(norm, rel=1e-9)
        # What the last bias is told is the error of the probabilities.
        assert el2n["el2n", None, example] == pytest.approx(float(bias[example].norm()), rel=1e-6)
    assert grand["mean_grand", None, None] == pytest.approx(float(whole[None].norm(dim=1).mean()))
    assert el2n["mean_el2n", None, None] == pytest.approx(float(bias.norm(dim=1).mean()))


def test_grand_is_compared_with_the_length_of_the_input(mlp):
    data = batches(15, (6,), 3)
    found = found_by(GraNd(), mlp, data)
    each = found["rank_correlation_with_input_norm", None, None]
    inputs = torch.cat([inputs for inputs, _ in data]).norm(dim=1)
    scores = torch.tensor([found["grand", None, place].value for place in range(30)])
    ranks = [values.argsort().argsort().double() for values in (inputs, scores)]
    wanted = torch.corrcoef(torch.stack(ranks))[0, 1]
    assert each.value == pytest.approx(float(wanted))
    assert each.lower < each.value < each.upper and each.n == 30


def test_equal_values_share_their_rank():
    first, second = torch.tensor([1.0, 1.0, 2.0, 3.0]), torch.tensor([5.0, 5.0, 6.0, 7.0])
    assert rank_correlation(first, second) == pytest.approx(1)
    assert rank_correlation(first, -second) == pytest.approx(-1)
    assert rank_correlation(first, torch.ones(4)) is None


def test_gradient_rank_is_that_of_the_matrix_of_gradients(subject):
    model, data = subject
    found = values_by(GradientRank(), model, data)
    for layer, rows in all_gradients(model, data).items():
        values = torch.linalg.svdvals(rows)
        rank = sum(1 for value in values if value > 1e-4 * values[0])
        assert found["numerical_rank", layer, None] == rank
        shares = [float(value / values.sum()) for value in values]
        entropy = -sum(share * math.log(share) for share in shares if share > 0)
        # Singular values below the rounding of their squares add a little.
        assert found["effective_rank", layer, None] == pytest.approx(math.exp(entropy), rel=1e-3)
        squares = values.square()
        wanted = float(squares.sum() ** 2 / squares.square().sum())
        assert found["participation_ratio", layer, None] == pytest.approx(wanted)


def test_samples_are_those_of_the_seed(mlp):
    """A sample is named by its size and its seed, and its examples by their place in the data."""
    data = batches(30, (6,), 3)
    every = values_by(EL2N(num_examples=None), mlp, data)
    some = found_by(EL2N(num_examples=7), mlp, data, seed=3)
    mean = some["mean_el2n", None, None]
    assert (mean.n, mean.seed) == (7, 3)
    drawn = draw(data, 7, 3).numbers.tolist()
    chosen = [example for quantity, _, example in some if quantity == "el2n"]
    assert chosen == drawn
    for example in drawn:
        assert some["el2n", None, example].value == pytest.approx(every["el2n", None, example])
    assert found_by(GradientRank(num_examples=7), mlp, data)["numerical_rank", None, None].n == 7


def test_one_sample_serves_all_measures(mlp, monkeypatch):
    from surplus.measures import backward as shared

    calls = []
    monkeypatch.setattr(
        shared,
        "gradient_sample",
        lambda *given, real=shared.gradient_sample: calls.append(1) or real(*given),
    )
    chosen = (GradientCoherence(), GradientNoise(), GraNd())
    data = batches(15, (6,), 3)
    findings(observed(mlp, find_units(mlp, data[0][0][:2]), chosen, data), chosen)
    assert len(calls) == 1


@pytest.mark.parametrize("measure", MEASURES, ids=lambda each: each.kind)
@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        (torch.zeros(7, 3).double(), "the targets are not class labels"),
        (torch.full((7,), 5), "labels for which the model has no output"),
    ],
)
def test_what_is_no_classifier_is_named_with_the_reason(measure, targets, reason):
    model, inputs, _ = made("mlp")
    found = found_by(measure, model, [(inputs, targets)])
    assert reason in found["untreated", None, None].note


@pytest.mark.parametrize("measure", MEASURES, ids=lambda each: each.kind)
def test_positions_are_no_examples(measure):
    model, inputs, _ = made("frames")
    images = Of(lambda self, x: self.conv(x.flatten(0, 1)), conv=model.conv)
    found = found_by(measure, images, [(inputs, torch.zeros(7).long())])
    assert "one row of logits per example" in found["untreated", None, None].note


@pytest.mark.parametrize(
    "measure", [each for each in MEASURES if each.kind != "el2n"], ids=lambda each: each.kind
)
def test_a_model_that_mixes_examples_is_named_with_the_reason(measure):
    def run(self, x):
        return self.out(x - x.mean(0))

    model = Of(run, out=nn.Linear(5, 3)).double()
    _, inputs, targets = made("mlp")
    found = found_by(measure, model, [(inputs, targets)])
    assert "the model mixes examples" in found["untreated", None, None].note


def test_gradients_that_are_all_zero_are_said_to_be_so(mlp):
    with torch.no_grad():
        mlp[4].weight.zero_()
        mlp[4].bias.copy_(torch.tensor([1000.0, 0, 0]))
    data = [(inputs, torch.zeros_like(targets)) for inputs, targets in batches(15, (6,), 3)]
    coherence = found_by(GradientCoherence(), mlp, data)["alpha", None, None]
    assert coherence.value is None and "are zero" in coherence.note
    assert found_by(GradientRank(), mlp, data)["numerical_rank", None, None].value == 0
    assert found_by(GradientNoise(), mlp, data)["noise_scale_examples", None, None].value is None
