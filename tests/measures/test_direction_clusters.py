import pytest
import torch

from asking import dense, notes, of_layer, randn, seen_of
from oracles.geometry import angle, best_clusters
from surplus.base import InvalidArgument
from surplus.masks import Mask
from surplus.measures import DirectionClusters, findings


def layer_of(measure, W, start=None, **more):
    model = dense(W, randn(2, len(W)))
    initial = None if start is None else {"0.weight": start, "2.weight": randn(2, len(W))}
    return of_layer(measure, seen_of(measure, model, initial=initial, **more))


def planted(spread, k=4, each=20, fan_in=16):
    centres = torch.linalg.qr(randn(fan_in, k)).Q.T
    W = centres.repeat_interleave(each, 0)
    return 2 * (W + spread * randn(*W.shape, seed=9) / fan_in**0.5)


def test_with_the_best_clusters_it_is_that_of_loops():
    measure = DirectionClusters(k=2, num_restarts=40)
    W = randn(7, 3)
    labels = best_clusters(W, 2, [1.0] * 7)
    hats = W / W.norm(dim=1, keepdim=True)
    degrees = []
    for row, label in zip(hats.tolist(), labels, strict=True):
        own = [unit for unit in range(7) if labels[unit] == label]
        degrees.append(angle(row, hats[own].sum(0).tolist()))
    found = layer_of(measure, W, start=2 * W)
    assert found["mean_angle_degrees"] == pytest.approx(sum(degrees) / 7)
    assert found["initial_mean_angle_degrees"] == pytest.approx(sum(degrees) / 7)


def test_planted_clusters_have_small_angles_and_random_ones_do_not():
    found = layer_of(DirectionClusters(), planted(0.05), start=randn(80, 16))
    assert found["mean_angle_degrees"] < 4
    random = found["random_mean_angle_degrees"]
    assert 40 < random < 80
    assert found["initial_mean_angle_degrees"] == pytest.approx(random, abs=2)


def test_in_the_plane_clusters_are_found_in_noise():
    """Why the random layers are drawn: four centres are never far in two dimensions."""
    found = layer_of(DirectionClusters(), randn(200, 2))
    assert found["random_mean_angle_degrees"] < 22.5
    assert found["mean_angle_degrees"] == pytest.approx(found["random_mean_angle_degrees"], abs=2)


def test_small_units_hardly_count_where_norms_weigh():
    W = torch.cat([planted(0.0), 1e-6 * randn(80, 16, seed=2)])
    found = layer_of(DirectionClusters(), W)
    assert found["weighted_mean_angle_degrees"] < 0.01
    assert found["mean_angle_degrees"] > 10


def test_intervals_say_their_draws_and_seed():
    measure = DirectionClusters(num_draws=3)
    seen = seen_of(measure, dense(planted(1.0), randn(2, 80)), seed=7)
    random = next(f for _, f in findings(seen, (measure,)) if f.quantity.startswith("random"))
    assert random.lower < random.value < random.upper
    assert (random.n, random.seed) == (3, 7)


def test_what_cannot_be_clustered_is_named():
    W = planted(0.1)
    model = dense(W, randn(3, 80))
    few = Mask({"0": torch.arange(80) < 4}, "units")
    found = notes(DirectionClusters(), seen_of(DirectionClusters(), model, mask=few))
    assert found == {
        "0": "4 of its units have a direction, which are not more than the 4 centres",
        "2": "3 of its units have a direction, which are not more than the 4 centres",
    }
    found = notes(DirectionClusters(), seen_of(DirectionClusters(), model))
    assert (
        found["0"]
        == "it compares with initialisation, which is not known: pass `initial=`, or `--initial`"
    )


@pytest.mark.message
def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(InvalidArgument, match="`k` is 0 and `num_restarts` is 10; both must be"):
        DirectionClusters(k=0)
    with pytest.raises(InvalidArgument, match="`num_draws` is 1; an interval needs at least 2"):
        DirectionClusters(num_draws=1)
