import pytest
import torch

from asking import randn
from oracles.geometry import principal_angles
from surplus.passes.geometry import (
    leading_subspace,
    principal_degrees,
    random_degrees,
    relative_residuals,
)


def basis(fan_in, rank, seed=0):
    return torch.linalg.qr(randn(fan_in, rank, seed=seed)).Q


@pytest.mark.parametrize(("some", "other"), [(1, 1), (2, 2), (2, 3), (3, 2), (4, 4)])
def test_the_angles_are_those_found_one_after_the_other(some, other):
    first, second = basis(7, some), basis(7, other, seed=1)
    expected = principal_angles(first, second)
    assert principal_degrees(first, second).tolist() == pytest.approx(expected, abs=1e-4)


def test_equal_orthogonal_and_planted_angles():
    axes = torch.eye(6, dtype=torch.float64)
    turned = torch.linalg.qr(randn(3, 3)).Q
    assert float(principal_degrees(axes[:, :3], axes[:, :3] @ turned).max()) < 1e-12
    assert principal_degrees(axes[:, :3], axes[:, 3:]).tolist() == pytest.approx([90] * 3)
    for radians in (1e-9, 0.3, 1.2):
        angle = torch.tensor(radians, dtype=torch.float64)
        tilted = torch.stack([axes[0], axes[1] * angle.cos() + axes[4] * angle.sin()], dim=1)
        found = principal_degrees(axes[:, :2], tilted).deg2rad()
        assert found.tolist() == pytest.approx([0, radians], rel=1e-9, abs=1e-15)
    # In three dimensions two planes meet in a line.
    assert float(principal_degrees(basis(3, 2), basis(3, 2, seed=4))[0]) < 1e-6


def test_random_subspaces_overlap_as_they_should():
    """The squares of the cosines sum to rank^2 / fan_in on average."""
    drawn = random_degrees(20, 4, 2000, torch.Generator().manual_seed(0))
    assert float(drawn.deg2rad().cos().square().sum(1).mean()) == pytest.approx(0.8, rel=0.02)
    assert torch.equal(drawn, drawn.sort(1).values)


def test_the_leading_subspace_holds_the_most():
    W = randn(8, 5) * torch.tensor([9.0, 5.0, 1.0, 0.1, 0.01])
    found = leading_subspace(W, 2)
    gram = torch.linalg.eigh(W.T @ W).eigenvectors[:, -2:]
    torch.testing.assert_close(found @ found.T, gram @ gram.T)
    planted = randn(8, 3) @ randn(3, 5, seed=1)
    assert leading_subspace(planted, 10).shape == (5, 3)
    assert leading_subspace(0 * W, 2).shape == (5, 0)


def test_residuals_are_those_of_loops():
    W, span = randn(6, 5), basis(5, 2)
    expected = []
    for row in W:
        rest = row.clone()
        for axis in span.T:
            rest -= (row @ axis) * axis
        expected.append(float(rest.norm() / row.norm()))
    assert relative_residuals(W, span).tolist() == pytest.approx(expected)
    assert float(relative_residuals(randn(3, 2) @ span.T, span).max()) < 1e-12
