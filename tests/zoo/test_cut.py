"""Every removable group of every architecture: cut equals masked, in double precision."""

import pytest
import torch

from surplus.edits import Edits, cut, masked, replay_
from surplus.masks import Scores, keep
from surplus.units import copied, find_units, tensors_of
from zoo import ZOO, build, run


def random_mask(units, group, density, generator):
    """Return a mask that keeps a share of a group's units, at least one, at most all but one."""
    scores = Scores({group.name: torch.rand(group.size, generator=generator)}, "units", units)
    return keep(scores, 1 - density)


def leaves(outputs):
    return [
        each for each in torch.utils._pytree.tree_leaves(outputs) if isinstance(each, torch.Tensor)
    ]


@pytest.mark.parametrize("name", ZOO)
def test_every_removable_group_is_cut_exactly(name):
    model, example = build(name)
    units = find_units(model, example)
    generator = torch.Generator().manual_seed(0)
    before = {key: value.clone() for key, value in tensors_of(model).items()}
    for group in units.removable():
        for density in (0.1, 0.5, 0.9):
            mask = random_mask(units, group, density, generator)
            smaller, edits = cut(model, mask)
            assert edits.steps[0].difference <= 1e-10
            again = copied(model)
            replay_(again, Edits.from_json(edits.to_json()))
            with torch.no_grad():
                pairs = zip(leaves(run(again, example)), leaves(run(smaller, example)), strict=True)
                assert all(torch.equal(one, other) for one, other in pairs)
    assert all(torch.equal(before[key], value) for key, value in tensors_of(model).items())


@pytest.mark.parametrize("name", ZOO)
def test_all_groups_are_cut_at_once(name):
    model, example = build(name)
    units = find_units(model, example)
    if not units.removable():
        pytest.skip("nothing can be removed, which the table of units says with its reasons")
    generator = torch.Generator().manual_seed(1)
    values = {g.name: torch.rand(g.size, generator=generator) for g in units.removable()}
    mask = keep(Scores(values, "units", units), 0.5)
    smaller, edits = cut(model, mask)
    assert edits.steps[0].difference <= 1e-10
    with torch.no_grad():
        pairs = zip(
            leaves(run(masked(model, mask), example)), leaves(run(smaller, example)), strict=True
        )
        for one, other in pairs:
            torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-9)
    num = {
        name: sum(p.numel() for p in each.parameters())
        for name, each in (("a", model), ("b", smaller))
    }
    assert num["b"] < num["a"] or mask.sparsity == 0


@pytest.mark.parametrize("name", ZOO)
def test_what_cannot_be_removed_says_why(name):
    model, example = build(name)
    for group in find_units(model, example):
        assert group.protected is None or len(group.protected) > 10
