import math

import pytest
import torch

from asking import asked, dense, notes, of_layer, randn, seen_of
from surplus.masks import Mask
from surplus.measures import Norms


def test_they_are_those_of_loops():
    W = randn(5, 4)
    seen = seen_of(Norms(), dense(W, randn(2, 5)))
    norms = [math.sqrt(sum(x * x for x in row)) for row in W.tolist()]
    found = asked(Norms(), seen)
    for unit, norm in enumerate(norms):
        assert found["norm", "0", None, unit, None] == pytest.approx(norm)
    mean = sum(norms) / 5
    spread = math.sqrt(sum((norm - mean) ** 2 for norm in norms) / 5)
    assert of_layer(Norms(), seen) == pytest.approx(
        {
            "mean_norm": mean,
            "least_norm": min(norms),
            "greatest_norm": max(norms),
            "norm_variation": spread / mean,
        }
    )


def test_what_was_removed_does_not_count():
    W = torch.tensor([[3.0, 4.0], [30.0, 40.0], [0.0, 5.0]])
    mask = Mask({"0": torch.tensor([True, False, True])}, "units")
    seen = seen_of(Norms(), dense(W, randn(2, 3)), mask=mask)
    assert of_layer(Norms(), seen) == pytest.approx(
        {"mean_norm": 5, "least_norm": 5, "greatest_norm": 5, "norm_variation": 0}
    )
    assert ("norm", "0", None, 1, None) not in asked(Norms(), seen)
    none = Mask({"0": torch.zeros(3, dtype=torch.bool)}, "units")
    seen = seen_of(Norms(), dense(W, randn(2, 3)), mask=none)
    assert notes(Norms(), seen) == {"0": "none of its units is kept"}


def test_a_filter_is_one_unit():
    conv = torch.nn.Conv2d(2, 3, 2, bias=False).double()
    conv.weight.data.fill_(0.5)
    seen = seen_of(Norms(), torch.nn.Sequential(conv), (2, 4, 4))
    assert of_layer(Norms(), seen)["mean_norm"] == pytest.approx(math.sqrt(8 * 0.25))


def test_a_layer_of_zeros_does_not_vary():
    seen = seen_of(Norms(each_unit=False), dense(torch.zeros(3, 2), randn(2, 3)))
    assert of_layer(Norms(), seen)["norm_variation"] == 0
    assert all(unit is None for _, _, _, unit, _ in asked(Norms(each_unit=False), seen))
