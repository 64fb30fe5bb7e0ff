"""Connected components, against walking along every path."""

import pytest
import torch

from surplus.passes import linked


def reachable(near, start):
    """Every member that some path of near pairs leads to."""
    found = {start}
    while True:
        more = {j for i in found for j in range(len(near)) if near[i][j]} | found
        if more == found:
            return found
        found = more


@pytest.mark.parametrize("density", [0.0, 0.03, 0.06, 0.3, 1.0])
def test_components_are_what_paths_reach(density):
    drawn = torch.rand(25, 25, generator=torch.Generator().manual_seed(1)) < density
    near = drawn | drawn.T
    expected = {frozenset(reachable(near.tolist(), start)) for start in range(25)}
    groups = linked(near)
    assert {frozenset(group) for group in groups} == {each for each in expected if len(each) > 1}
    assert [len(group) for group in groups] == sorted(map(len, groups), reverse=True)


def test_a_chain_hangs_together_although_its_ends_are_far():
    near = torch.zeros(4, 4, dtype=torch.bool)
    for first, second in ((0, 3), (3, 1)):
        near[first, second] = near[second, first] = True
    assert linked(near) == [[0, 1, 3]]


def test_nothing_hangs_together_alone():
    assert linked(torch.eye(3).bool()) == linked(torch.zeros(0, 0).bool()) == []
