"""Why dense layers are padded: with it, no operation of a step tells a fleet of one from a larger fleet."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from surplus.training.layout import ALIGNED, BLOCK, QUAD, up

OPERATIONS = {
    "forward": lambda W, X, D, b: torch.baddbmm(b[:, :, None], W, X),
    "forward from rows": lambda W, X, D, b: torch.baddbmm(
        b[:, :, None], W, X.transpose(1, 2).contiguous().transpose(1, 2)
    ),
    "weight gradient": lambda W, X, D, b: torch.bmm(D, X.transpose(1, 2)),
    "input gradient": lambda W, X, D, b: torch.bmm(W.transpose(1, 2), D),
    "bias gradient": lambda W, X, D, b: D.sum(2),
    "tanh": lambda W, X, D, b: torch.tanh(D),
    "loss": lambda W, X, D, b: F.cross_entropy(
        D[:, :3], torch.zeros(len(D), D.shape[2], dtype=torch.int64), reduction="none"
    ),
}


def rows(count, units, fan_in):
    """Return weights as they lie in the flat buffer: aligned alike in every replica."""
    flat = torch.zeros(count, up(units * fan_in, ALIGNED))
    return flat[:, : units * fan_in].view(count, units, fan_in)


def check(units, fan_in, batch, fleet):
    multiple = max(QUAD, BLOCK // math.gcd(BLOCK, batch))
    units, fan_in = up(units, multiple), up(fan_in, multiple)
    generator = torch.Generator().manual_seed(units * fan_in + batch)
    W = rows(fleet, units, fan_in)
    W.normal_(generator=generator)
    X, D, b = (
        torch.randn(fleet, *shape, generator=generator)
        for shape in ((fan_in, batch), (units, batch), (units,))
    )
    for name, operation in OPERATIONS.items():
        together = operation(W, X, D, b)
        for replica in (0, fleet - 1):
            alone = rows(1, units, fan_in)
            alone.copy_(W[replica : replica + 1])
            own = [each[replica : replica + 1].clone() for each in (X, D, b)]
            found = operation(alone, *own)[0]
            assert torch.equal(found, together[replica]), (name, units, fan_in, batch, fleet)


@pytest.mark.parametrize("batch", [2, 3, 10, 60, 61, 128])
def test_no_operation_depends_on_the_size_of_the_fleet(batch):
    for units, fan_in, fleet in itertools.product((3, 10, 37), (5, 16, 111), (2, 7)):
        check(units, fan_in, batch, fleet)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [2, 3, 5, 7, 10, 16, 20, 25, 60, 61, 100, 128, 250])
def test_no_shape_does(batch):
    sizes = (1, 3, 5, 10, 16, 37, 50, 100, 111, 300)
    for units, fan_in, fleet in itertools.product(sizes, (*sizes, 784), (2, 3, 7, 16)):
        check(units, fan_in, batch, fleet)
