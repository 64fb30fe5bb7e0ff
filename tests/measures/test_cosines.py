import math
from itertools import permutations

import pytest
import torch

from asking import asked, dense, notes, of_layer, randn, seen_of
from surplus.masks import Mask
from surplus.measures import Cosines, findings
from surplus.passes.geometry import pairs


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def cosine(a, b):
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


@pytest.mark.parametrize("block", [3, 1024])
def test_they_are_those_of_loops(monkeypatch, block):
    monkeypatch.setattr(pairs, "BLOCK", block)
    W = randn(7, 4)
    rows = W.tolist()
    all_pairs = {(i, j): cosine(rows[i], rows[j]) for i, j in permutations(range(7), 2)}
    values = list(all_pairs.values())
    seen = seen_of(Cosines(), dense(W, randn(2, 7)))
    found = of_layer(Cosines(), seen)
    assert found["mean_cosine"] == pytest.approx(sum(values) / 42)
    assert found["mean_absolute_cosine"] == pytest.approx(sum(map(abs, values)) / 42)
    assert found["root_mean_square_cosine"] == pytest.approx(math.sqrt(dot(values, values) / 42))
    assert found["least_cosine"] == pytest.approx(min(values))
    assert found["greatest_cosine"] == pytest.approx(max(values))
    each = {(f.quantity, f.unit): f for _, f in findings(seen, (Cosines(),)) if f.layer == "0"}
    for i in range(7):
        others = [j for j in range(7) if j != i]
        nearest = max(others, key=lambda j, i=i: all_pairs[i, j])
        assert each["nearest_cosine", i].value == pytest.approx(all_pairs[i, nearest])
        assert each["nearest_cosine", i].note == f"unit {nearest}"
        nearest = max(others, key=lambda j, i=i: abs(all_pairs[i, j]))
        assert each["nearest_absolute_cosine", i].value == pytest.approx(abs(all_pairs[i, nearest]))
        assert each["nearest_absolute_cosine", i].note == f"unit {nearest}"


def test_a_repeated_unit_is_found_and_an_opposite_one_only_without_signs():
    W = torch.eye(5)[:4].clone()
    W = torch.cat([W, 3 * W[1:2], -2 * W[2:3]])
    found = asked(Cosines(), seen_of(Cosines(), dense(W, randn(2, 6))))
    near = [found["nearest_cosine", "0", None, unit, None] for unit in range(6)]
    assert near == pytest.approx([0, 1, 0, 0, 1, 0])
    near = [found["nearest_absolute_cosine", "0", None, unit, None] for unit in range(6)]
    assert near == pytest.approx([0, 1, 1, 0, 1, 1])


def test_random_directions_have_what_is_said_of_them():
    found = of_layer(Cosines(), seen_of(Cosines(), dense(randn(400, 30), randn(2, 400))))
    assert found["mean_cosine"] == pytest.approx(0, abs=0.005)
    for quantity in ("mean_absolute_cosine", "root_mean_square_cosine"):
        assert found[quantity] == pytest.approx(found[f"random_{quantity}"], rel=0.01)


def test_units_without_a_direction_are_left_out():
    W = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    mask = Mask({"0": torch.tensor([True, True, True, False])}, "units")
    model = dense(W, torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]))
    found = asked(Cosines(), seen_of(Cosines(), model, mask=mask))
    assert {unit for _, layer, _, unit, _ in found if layer == "0"} == {None, 0, 2}
    reason = "only one of its units has weights other than zero"
    assert notes(Cosines(), seen_of(Cosines(), model)) == {"2": reason}
