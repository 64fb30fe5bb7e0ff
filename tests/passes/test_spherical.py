import pytest
import torch

from asking import randn
from oracles.geometry import angle, best_clusters
from surplus.passes.geometry import degrees_to, directions, spherical_centres


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weighted", [False, True])
def test_the_best_of_many_restarts_is_the_best_of_all(seed, weighted):
    rows = directions(randn(8, 3, seed=seed))
    weights = 0.1 + randn(8, seed=seed + 50).square() if weighted else torch.ones(8).double()
    found = spherical_centres(rows, 2, 40, generator(), weights if weighted else None)
    labels = torch.tensor(best_clusters(rows, 2, weights.tolist()))
    best = [(weights[labels == label] @ rows[labels == label]).norm() for label in range(2)]
    assert float(weights @ (rows @ found.T).amax(1)) == pytest.approx(float(sum(best)))
    assert found.norm(dim=1).tolist() == pytest.approx([1, 1])


def test_another_order_gives_the_same_centres():
    rows, order = directions(randn(30, 5)), torch.randperm(30, generator=generator())
    first, second = (spherical_centres(each, 3, 5, generator()) for each in (rows, rows[order]))
    torch.testing.assert_close(first, second)


def test_the_beginnings_do_not_repeat_equal_rows():
    """Four directions, many times each, and one restart: k-means++ never draws what it has."""
    rows = directions(randn(4, 6)).repeat(50, 1)
    centres = spherical_centres(rows, 4, 1, generator())
    assert float(degrees_to(rows, centres).max()) < 1e-5


def test_a_centre_without_rows_stays():
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    centres = spherical_centres(rows, 3, 2, generator())
    assert centres.isfinite().all()
    assert float(degrees_to(rows, centres).max()) == 0


def test_angles_are_those_of_arc_cosines_and_small_ones_keep_their_digits():
    rows, centres = directions(randn(9, 4)), directions(randn(2, 4, seed=1))
    expected = [min(angle(row, c) for c in centres.tolist()) for row in rows.tolist()]
    assert degrees_to(rows, centres).tolist() == pytest.approx(expected)
    tilted = torch.tensor([[1.0, 1e-10]], dtype=torch.float64)
    small = degrees_to(tilted, torch.tensor([[1.0, 0.0]], dtype=torch.float64))
    assert float(small.deg2rad()) == pytest.approx(1e-10)
