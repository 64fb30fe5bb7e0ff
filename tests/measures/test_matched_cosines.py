from itertools import permutations

import pytest
import torch

from asking import dense, notes, of_layer, randn, seen_of
from oracles.geometry import cosine
from surplus.base import InvalidArgument
from surplus.measures import MatchedCosines, findings
from surplus.passes.geometry import best_matching

OUT = randn(2, 5, seed=9)


def seen(W, V, start=None, other_start=None):
    measure = MatchedCosines()
    out = randn(2, len(W), seed=9)

    def one(weight, first, **more):
        initial = {"0.weight": weight if first is None else first, "2.weight": out}
        return seen_of(measure, dense(weight, out), initial=initial, **more)

    return one(W, start, other=one(V, other_start))


def test_the_matching_is_the_best_of_all():
    scores = randn(5, 5)
    total = max(sum(float(scores[i, j]) for i, j in enumerate(p)) for p in permutations(range(5)))
    found = best_matching(scores)
    assert sorted(found.tolist()) == list(range(5))
    assert float(scores[torch.arange(5), found].sum()) == pytest.approx(total)


def test_it_is_that_of_loops():
    W, V = randn(4, 6), randn(4, 6, seed=1)
    all_cosines = [[cosine(w, v) for v in V.tolist()] for w in W.tolist()]
    best = max(sum(all_cosines[i][p[i]] for i in range(4)) for p in permutations(range(4)))
    found = of_layer(MatchedCosines(), seen(W, V))
    assert found["matched_cosine"] == pytest.approx(best / 4)
    assert found["cosine_in_place"] == pytest.approx(sum(all_cosines[i][i] for i in range(4)) / 4)


def test_the_same_units_in_another_order_are_found():
    W, order = randn(7, 9), torch.tensor([3, 0, 1, 2, 4, 6, 5])
    found = of_layer(MatchedCosines(), seen(W, 2 * W[order]))
    assert found["matched_cosine"] == pytest.approx(1)
    assert found["share_in_place"] == pytest.approx(1 / 7)
    assert found["cosine_in_place"] < 0.5


def test_random_layers_are_matched_as_well_as_chance():
    found = of_layer(MatchedCosines(num_draws=20), seen(randn(20, 12), randn(20, 12, seed=1)))
    assert found["matched_cosine"] == pytest.approx(found["random_matched_cosine"], abs=0.05)
    assert found["matched_cosine"] > 0.3


def test_updates_are_compared_apart_from_the_start():
    start, other = randn(5, 6), randn(5, 6, seed=1)
    step = randn(5, 6, seed=2)
    found = of_layer(MatchedCosines(), seen(start + step, other + 3 * step, start, other))
    assert found["update_cosine"] == pytest.approx(1)
    against = of_layer(MatchedCosines(), seen(start + step, start - step, start, start))
    assert against["update_cosine"] == pytest.approx(-1)


def test_what_cannot_be_compared_is_named():
    measure = MatchedCosines()
    W = randn(5, 6)
    alone = seen_of(measure, dense(W, OUT), initial={})
    assert "no second one was given" in notes(measure, alone)["0"]
    narrow = seen(W, randn(5, 4))
    assert notes(measure, narrow)["0"] == "its weights are (5, 6), and (5, 4) in the other network"
    still = seen(W, W)
    assert notes(measure, still)["0"] == "its weights are those of initialisation"
    zero = W.clone()
    zero[2] = 0
    assert "no weights other than zero" in notes(measure, seen(zero, W))["0"]
    assert all(
        each.value is None or each.value <= 1 + 1e-9 for _, each in findings(still, (measure,))
    )


@pytest.mark.message
def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(InvalidArgument, match="`num_draws` is 0; a control needs at least 1"):
        MatchedCosines(num_draws=0)
