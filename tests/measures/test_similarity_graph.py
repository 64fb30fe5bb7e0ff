import math

import pytest
import torch

from asking import asked, dense, notes, of_layer, randn, seen_of
from oracles.geometry import components, distances, length
from surplus.base import InvalidArgument
from surplus.masks import Mask
from surplus.measures import SimilarityGraph, findings


def fan(*angles, lengths=None):
    """Rows in the plane at these angles, in degrees."""
    radians = torch.tensor(angles, dtype=torch.float64).deg2rad()
    rows = torch.stack([radians.cos(), radians.sin()], dim=1)
    return rows if lengths is None else rows * torch.tensor(lengths, dtype=torch.float64)[:, None]


def mean_distance(W):
    d = distances(W)
    pairs = [d[i][j] for i in range(len(d)) for j in range(i)]
    return sum(pairs) / len(pairs)


def asking(W, measure=None, **more):
    measure = measure or SimilarityGraph()
    model = dense(W, randn(2, len(W)))
    return asked(measure, seen_of(measure, model, **more))


def test_it_is_that_of_loops():
    W = randn(9, 3)
    sigma = mean_distance(W)
    weights = [[math.exp(-((d / sigma) ** 2)) for d in row] for row in distances(W)]
    found = asking(W)
    assert found["sigma", "0", None, None, None] == pytest.approx(sigma)
    for cut_off in SimilarityGraph().cut_offs:
        at = ("0", None, None, cut_off)
        assert found["num_components", *at] == len(components(weights, cut_off))
        reach = 1 - math.cos(math.radians(found["cut_off_degrees", *at]))
        # Beyond opposite directions there is nothing: a lower weight joins no more.
        assert math.exp(-((reach / sigma) ** 2)) == pytest.approx(cut_off) or reach == 2
    cut_off = math.exp(-((0.5 / sigma) ** 2))
    sets = components(weights, cut_off)
    assert found["cut_off_weight", "0", None, None, None] == pytest.approx(cut_off)
    assert found["num_components", "0", None, None, None] == len(sets)
    sizes = torch.tensor([len(each) for each in sets], dtype=torch.float64)
    longest = torch.tensor([max(length(W[unit].tolist()) for unit in each) for each in sets])
    expected = torch.corrcoef(torch.stack([sizes, longest.double()]))[0, 1]
    assert found["size_norm_correlation", "0", None, None, None] == pytest.approx(float(expected))


def test_planted_groups_are_found_with_their_sizes_and_longest_vectors():
    W = fan(0, 5, 10, 15, 120, 125, 240, lengths=[1, 9, 2, 3, 4, 5, 0.5])
    found = asking(W)
    assert found["num_components", "0", None, None, None] == 3
    assert found["num_single_units", "0", None, None, None] == 1
    assert found["largest_component_size", "0", None, None, None] == 4
    listed = {
        (quantity, at): value
        for (quantity, layer, _, _, at), value in found.items()
        if layer == "0" and quantity.startswith("component")
    }
    assert listed == pytest.approx(
        {
            ("component_size", 0): 4,
            ("component_greatest_norm", 0): 9,
            ("component_size", 1): 2,
            ("component_greatest_norm", 1): 5,
        }
    )
    assert found["size_norm_correlation", "0", None, None, None] > 0.9


def test_exactly_at_the_cut_off_units_are_joined():
    layer = ("0", None, None, None)
    assert asking(fan(0, 60, 120, 180))["num_components", *layer] == 1
    measure = SimilarityGraph(degrees=59.9)
    assert asking(fan(0, 60, 120, 180), measure)["num_components", *layer] == 4


def test_repeated_units_hang_together_at_the_highest_cut_off():
    W = torch.cat([torch.eye(4), 3 * torch.eye(4)[:2]]).double()
    measure = SimilarityGraph(cut_offs=(1.0,))
    assert asking(W, measure)["num_components", "0", None, None, 1.0] == 4
    same = asking(torch.ones(3, 2), measure)
    assert same["sigma", "0", None, None, None] == 0
    assert same["num_components", "0", None, None, None] == 1
    assert same["cut_off_weight", "0", None, None, None] == 0


def test_sigma_is_that_of_all_times_of_the_run():
    W = randn(6, 3)
    model = dense(W, randn(4, 6))
    states = [
        (step, {"0.weight": randn(6, 3, seed=step), "2.weight": randn(4, 6, seed=step + 9)})
        for step in (1, 2, 3)
    ]
    measure = SimilarityGraph()
    seen = seen_of(measure, model, history=lambda: iter(states))
    expected = sum(mean_distance(state["0.weight"]) for _, state in states) / 3
    found = {(each.quantity, each.layer, each.at): each for _, each in findings(seen, (measure,))}
    sigma = found["sigma", "0", None]
    assert (sigma.value, sigma.n) == (pytest.approx(expected), 3)
    assert sigma.note == "over 3 times of the run"
    assert found["cut_off_weight", "0", None].value == pytest.approx(
        math.exp(-((0.5 / expected) ** 2))
    )


def test_what_was_removed_takes_no_part():
    W = fan(0, 90, 180, 45, 135)
    mask = Mask({"0": torch.tensor([True, True, True, False, False])}, "units")
    found = of_layer(
        SimilarityGraph(), seen_of(SimilarityGraph(), dense(W, randn(2, 5)), mask=mask)
    )
    assert found["num_components"] == 3
    assert found["size_norm_correlation"] is None
    lonely = dense(W[:1], randn(3, 1))
    reason = "only one of its units has weights other than zero"
    assert notes(SimilarityGraph(), seen_of(SimilarityGraph(), lonely)) == {"0": reason}


@pytest.mark.message
def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(InvalidArgument, match="`degrees` is 200; it must lie above 0, up to 180"):
        SimilarityGraph(degrees=200)
    with pytest.raises(InvalidArgument, match="weights lie above 0, up to 1"):
        SimilarityGraph(cut_offs=(0.5, 2.0))
