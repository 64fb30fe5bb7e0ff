import math

import pytest
import torch
from torch import nn

from asking import asked, dense, notes, of_layer, randn, seen_of
from oracles.geometry import length, spectral
from surplus.base import InvalidArgument
from surplus.measures import NormMeasures, findings

MEASURE = NormMeasures()


def data_of(model, n=60, fan_in=4):
    """Examples that the model gets right, with their margins."""
    inputs = randn(n, fan_in, seed=8)
    return [(inputs, model(inputs).argmax(1))]


def test_it_is_that_of_loops():
    weights, start = [randn(5, 4), randn(3, 5, seed=1)], [randn(5, 4, seed=2), randn(3, 5, seed=3)]
    model = dense(*weights)
    data = data_of(model)
    initial = {"0.weight": start[0], "2.weight": start[1]}
    found = of_layer(MEASURE, seen_of(MEASURE, model, initial=initial, data=data), None)
    s = [spectral(W) for W in weights]
    frobenius = [length(W.flatten().tolist()) for W in weights]
    apart = [(W - Z).tolist() for W, Z in zip(weights, start, strict=True)]
    rows = [sum(length(row) for row in each) for each in apart]
    distances = [length([x for row in each for x in row]) for each in apart]

    def ratios(values, power):
        return sum((x / y) ** power for x, y in zip(values, s, strict=True))

    product = s[0] * s[1]
    expected = {
        "product_of_spectral_norms": product,
        "product_of_frobenius_norms": frobenius[0] * frobenius[1],
        "spectral_complexity": product * ratios(rows, 2 / 3) ** 1.5,
        "spectral_frobenius": product * math.sqrt(ratios(frobenius, 2)),
        "spectral_frobenius_distance": product * math.sqrt(ratios(distances, 2)),
    }
    outputs = model(data[0][0]).detach().sort(1).values
    margins = sorted((outputs[:, -1] - outputs[:, -2]).tolist())
    # The fifth percentile of 60 values lies at place 0.05 x 59 = 2.95.
    margin = margins[2] + 0.95 * (margins[3] - margins[2])
    assert found["margin"] == pytest.approx(margin)
    for quantity, value in expected.items():
        assert found[f"log10_{quantity}"] == pytest.approx(math.log10(value)), quantity
        over = found[f"log10_{quantity}_over_margin"]
        assert over == pytest.approx(math.log10(value / margin)), quantity
    mean_square = float(data[0][0].square().sum()) / 60
    assert found["root_mean_square_input_norm"] == pytest.approx(math.sqrt(mean_square))
    assert found["greatest_absolute_input"] == float(data[0][0].abs().max())


def test_of_orthogonal_weights_that_moved_in_one_unit():
    """All spectral norms are 1, so what is left is how far the unit moved."""
    W = torch.eye(4, dtype=torch.float64)
    start = W.clone()
    start[1, 2] = 3.0
    seen = seen_of(MEASURE, dense(W, W), initial={"0.weight": start, "2.weight": W})
    found = of_layer(MEASURE, seen, None)
    assert found["log10_product_of_spectral_norms"] == pytest.approx(0)
    assert found["log10_product_of_frobenius_norms"] == pytest.approx(math.log10(4))
    assert found["log10_spectral_complexity"] == pytest.approx(math.log10(3))
    assert found["log10_spectral_frobenius_distance"] == pytest.approx(math.log10(3))
    assert found["log10_spectral_frobenius"] == pytest.approx(math.log10(8) / 2)


def test_a_filter_is_a_row_and_that_is_said():
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 3, 2, bias=False).double()
    seen = seen_of(MEASURE, nn.Sequential(conv), (2, 2, 2))
    found = [f for _, f in findings(seen, (MEASURE,)) if f.layer == "0"]
    assert found[0].value == pytest.approx(spectral(conv.weight.detach().flatten(1)))
    assert "not the norm of the convolution" in found[0].note
    assert asked(MEASURE, seen)["frobenius_norm", "0", None, None, None] == pytest.approx(
        float(conv.weight.detach().norm())
    )


def test_deep_products_do_not_overflow():
    weights = [1e100 * torch.eye(4, dtype=torch.float64) for _ in range(8)]
    found = of_layer(MEASURE, seen_of(MEASURE, dense(*weights)), None)
    assert found["log10_product_of_spectral_norms"] == pytest.approx(800)


def reason(seen, quantity):
    return next(f.note for _, f in findings(seen, (MEASURE,)) if f.quantity == quantity)


def test_what_cannot_be_stated_says_why():
    W = randn(4, 4)
    model = dense(W, W)
    inputs = randn(60, 4)
    wrong = [(inputs, model(inputs).argmin(1))]
    initial = {"0.weight": W, "2.weight": W}
    seen = seen_of(MEASURE, model, initial=initial, data=wrong)
    assert of_layer(MEASURE, seen, None)["margin"] < 0
    over = "log10_product_of_spectral_norms_over_margin"
    assert reason(seen, over) == "the margin is not positive"
    zero = "a weight or its distance is zero: it has no logarithm"
    assert reason(seen, "log10_spectral_complexity") == zero
    dead = seen_of(MEASURE, dense(W, 0 * W), initial=initial)
    assert reason(dead, "log10_product_of_spectral_norms") == zero
    regression = seen_of(MEASURE, model, initial=initial, data=[(inputs, inputs)])
    assert notes(MEASURE, regression) == {None: "the targets are not class labels"}


def test_of_a_network_that_is_no_chain_it_says_so():
    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4).double()

        def forward(self, x):
            return x + self.fc(x)

    note = reason(seen_of(MEASURE, Skip()), "log10_product_of_spectral_norms")
    assert note == "the network is no chain of layers, so no product over its weights bounds it"


@pytest.mark.message
def test_a_percentile_above_100_is_refused():
    with pytest.raises(InvalidArgument, match=r"`percentile` is 101; it must lie in \[0, 100\]"):
        NormMeasures(percentile=101)
