import pytest
import torch

from asking import dense, notes, randn, seen_of
from surplus.base import InvalidArgument
from surplus.measures import JointSubspace, findings

AXES = torch.eye(10, dtype=torch.float64)


def rows(axes, seed=0):
    """Rows in the span of some axes, equally strong along each."""
    return torch.linalg.qr(randn(8, len(axes), seed=seed)).Q @ AXES[axes]


def shares(W, V, rank):
    measure = JointSubspace(rank=rank)
    out = randn(2, 8)
    seen = seen_of(measure, dense(W, out), other=seen_of(measure, dense(V, out)))
    found = [each for _, each in findings(seen, (measure,)) if each.layer == "0"]
    assert {each.at for each in found} == {float(rank)}
    return {each.quantity.removesuffix("_subspace_share"): each.value for each in found}


def test_it_is_that_of_singular_values():
    W, V = randn(8, 10), randn(8, 10, seed=1)
    found = shares(W, V, 3)
    both = torch.cat([W / W.norm(), V / V.norm()])
    squares = torch.linalg.svdvals(both).square()
    assert found["joint"] == pytest.approx(float(squares[:3].sum() / squares.sum()))
    assert found["doubled"] == pytest.approx(float(squares[:6].sum() / squares.sum()))
    own = [torch.linalg.svdvals(each).square() for each in (W, V)]
    expected = sum(float(each[:3].sum() / each.sum()) for each in own) / 2
    assert found["own"] == pytest.approx(expected)
    directions = torch.linalg.svd(V).Vh[:3]
    there = float((W @ directions.T).square().sum() / W.square().sum())
    back = torch.linalg.svd(W).Vh[:3]
    here = float((V @ back.T).square().sum() / V.square().sum())
    assert found["other"] == pytest.approx((there + here) / 2)


def test_equal_and_orthogonal_directions():
    same = shares(rows([0, 1, 2]), 5 * rows([0, 1, 2], seed=3), 3)
    assert same == pytest.approx({"own": 1, "other": 1, "joint": 1, "doubled": 1})
    apart = shares(rows([0, 1, 2]), 5 * rows([5, 6, 7], seed=3), 3)
    assert apart == pytest.approx({"own": 1, "other": 0, "joint": 0.5, "doubled": 1}, abs=1e-9)


def test_what_cannot_be_compared_is_named():
    measure = JointSubspace()
    W, out = randn(8, 10), randn(2, 8)
    assert "no second one was given" in notes(measure, seen_of(measure, dense(W, out)))["0"]
    other = seen_of(measure, dense(randn(8, 6), out))
    narrow = seen_of(measure, dense(W, out), other=other)
    assert notes(measure, narrow)["0"] == "its units have 10 inputs, and 6 in the other network"


@pytest.mark.message
def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(InvalidArgument, match="`rank` is 0; it must be at least 1"):
        JointSubspace(rank=0)
