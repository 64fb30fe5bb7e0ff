"""Networks of which some layers begin with other weights, and the plain dense network."""

import pytest
import torch

from surplus.base import InvalidArgument, UnknownName
from surplus.nets import MLP, Redrawn

INNER = MLP(widths=(5, 4))


def weights(net, seed=0):
    return net.build((3,), 2, seed).state_dict()


def test_only_the_named_layers_begin_with_other_weights():
    plain, redrawn = weights(INNER), weights(Redrawn(inner=INNER, layers=("fc2",)))
    same = {name: torch.equal(plain[name], redrawn[name]) for name in plain}
    assert {name for name, equal in same.items() if not equal} == {"fc2.weight"}  # biases are zero
    assert redrawn["fc2.weight"].std() == pytest.approx(float(plain["fc2.weight"].std()), rel=0.7)


def test_draws_differ_and_repeat_themselves():
    one, again, other = (
        weights(Redrawn(inner=INNER, layers=("fc1",), draw=draw))["fc1.weight"]
        for draw in (1, 1, 2)
    )
    assert torch.equal(one, again) and not torch.equal(one, other)


@pytest.mark.message
def test_what_cannot_be_redrawn_is_named():
    with pytest.raises(InvalidArgument, match="`layers` is empty"):
        Redrawn(inner=INNER, layers=())
    with pytest.raises(UnknownName, match="Did you mean `fc1`"):
        weights(Redrawn(inner=INNER, layers=("fc11",)))
    with pytest.raises(InvalidArgument, match="The layer `relu1` has no weights"):
        weights(Redrawn(inner=INNER, layers=("relu1",)))
    with pytest.raises(InvalidArgument, match=r"`widths` is \(5, 0\)"):
        MLP(widths=(5, 0))


def test_without_hidden_layers_it_is_linear():
    assert [tuple(each.shape) for each in weights(MLP(widths=())).values()] == [(2, 3), (2,)]
