"""Anchors: orthonormal rows, collinear rows, simplex frames and random directions."""

import pytest
import torch

from asking import dense, notes, of_layer, randn, seen_of
from surplus.masks import Mask
from surplus.measures import FramePotential


def potential(W, **more):
    return of_layer(FramePotential(), seen_of(FramePotential(), dense(W, randn(2, len(W))), **more))


def simplex(size):
    """Rows that point from the middle of a simplex to its corners: each pair has cosine -1 / (size - 1)."""
    return torch.eye(size, dtype=torch.float64) - 1 / size


def test_it_is_that_of_loops():
    W = randn(6, 4)
    rows = [row / row.norm() for row in W]
    found = potential(W)
    cosines = [float(a @ b) for a in rows for b in rows]
    assert found["frame_potential"] == pytest.approx(sum(c * c for c in cosines))
    assert found["signed_frame_potential"] == pytest.approx(sum(max(c, 0) ** 2 for c in cosines))
    raw = sum(float(a @ b) ** 2 for a in W for b in W)
    assert found["frame_potential_raw"] == pytest.approx(raw)
    assert potential(W.T)["frame_potential_raw"] == pytest.approx(raw)


@pytest.mark.parametrize("size", [3, 5, 10])
def test_of_a_simplex_frame(size):
    found = potential(simplex(size))
    assert found["frame_potential_normalised"] == pytest.approx(1 / (size - 1))
    assert found["signed_frame_potential"] == pytest.approx(size)
    assert found["effective_num_directions"] == pytest.approx(size - 1)


def test_of_orthonormal_and_of_collinear_rows():
    found = potential(torch.eye(6, dtype=torch.float64))
    assert found["frame_potential_normalised"] == pytest.approx(1 / 6)
    assert found["place_between_bounds"] == pytest.approx(0)
    ray = torch.tensor([[1.0], [-2.0], [3.0], [4.0]]) * torch.tensor([[1.0, 2.0, 2.0]])
    found = potential(ray)
    assert found["frame_potential_normalised"] == pytest.approx(1)
    assert found["place_between_bounds"] == pytest.approx(1)
    # Three of the four point the same way.
    assert found["signed_frame_potential"] == pytest.approx(3**2 + 1)


def test_of_random_directions():
    found = potential(randn(500, 40))
    assert found["frame_potential"] == pytest.approx(found["random_frame_potential"], rel=0.02)
    signed = found["signed_frame_potential"]
    assert signed == pytest.approx(found["random_signed_frame_potential"], rel=0.02)


def test_removed_units_and_zeros_are_left_out():
    W = torch.cat([torch.eye(3), torch.zeros(1, 3), torch.eye(3)[:1]]).double()
    mask = Mask({"0": torch.tensor([True, True, True, True, False])}, "units")
    assert potential(W, mask=mask)["frame_potential"] == pytest.approx(3)
    assert potential(W)["frame_potential"] == pytest.approx(6)
    lonely = dense(W[:4] * torch.tensor([[1.0], [0.0], [0.0], [0.0]]), randn(2, 4))
    reason = "only one of its units has weights other than zero"
    assert notes(FramePotential(), seen_of(FramePotential(), lonely)) == {"0": reason}
