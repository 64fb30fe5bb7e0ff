"""A network that begins with larger or smaller weights."""

import pytest
import torch

from planted import TinyConv
from surplus.base import InvalidArgument
from surplus.nets import Rescaled


def test_weights_are_multiplied_and_nothing_else_is():
    plain = TinyConv().build((1, 4, 4), 3, seed=2)
    small = Rescaled(inner=TinyConv(), factor=0.25).build((1, 4, 4), 3, seed=2)
    for name, tensor in plain.state_dict().items():
        factor = 0.25 if tensor.dim() > 1 else 1
        assert torch.equal(small.state_dict()[name], factor * tensor)


def test_a_factor_that_leaves_no_weights_is_refused():
    with pytest.raises(InvalidArgument, match="`factor` is 0; it must be positive"):
        Rescaled(inner=TinyConv(), factor=0.0)
