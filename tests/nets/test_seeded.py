import pytest
import torch

from surplus.base import InvalidArgument
from surplus.nets import MLP, Redrawn, Seeded

INNER = MLP(widths=(5,))


def built(net, seed):
    return net.build((3,), 2, seed).state_dict()


def test_the_runs_seed_does_not_matter():
    expected = built(INNER, 3)
    for seed in (0, 3, 8):
        found = built(Seeded(inner=INNER, seed=3), seed)
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_layers_can_be_drawn_anew_inside():
    found = built(Seeded(inner=Redrawn(inner=INNER, layers=("fc2",)), seed=3), 8)
    expected = built(INNER, 3)
    assert torch.equal(found["fc1.weight"], expected["fc1.weight"])
    assert not torch.equal(found["fc2.weight"], expected["fc2.weight"])


@pytest.mark.message
def test_a_seed_that_is_none_is_refused():
    with pytest.raises(InvalidArgument, match="`seed` is -1; seeds are whole numbers from 0 on"):
        Seeded(inner=INNER, seed=-1)
