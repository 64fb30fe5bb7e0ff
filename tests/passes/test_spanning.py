import torch
from hypothesis import given
from hypothesis import strategies as st

from oracles.geometry import components
from surplus.passes.geometry import SpanningTree


@given(st.integers(1, 9), st.integers(0, 10**6), st.integers(1, 6))
def test_the_components_are_those_of_all_edges(size, seed, levels):
    """Few levels make many equal weights."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randint(0, levels, (size, size), generator=generator).double()
    weights = weights.tril(-1) + weights.tril(-1).T
    tree = SpanningTree(weights)
    for cut_off in [*map(float, range(levels)), 0.5]:
        expected = components(weights.tolist(), cut_off)
        assert tree.num_components(cut_off) == len(expected)
        labels = tree.components(cut_off).tolist()
        found = [{unit for unit in range(size) if labels[unit] == label} for label in set(labels)]
        assert sorted(map(sorted, found)) == sorted(map(sorted, expected))


def test_of_nothing_there_is_nothing():
    assert SpanningTree(torch.zeros(0, 0)).weights.tolist() == []
