"""The contract of every optimiser: the updates of torch's own, replica by replica."""

import pytest
import torch

from surplus.base import InvalidArgument, members
from surplus.training import Optimizer, Update
from surplus.training.optimizers import SGD, Adam, AdamW
from surplus.training.wrapper import Wrapper

PAIRS = {
    "sgd": (SGD(learning_rate=0.1), torch.optim.SGD),
    "sgd-momentum": (
        SGD(learning_rate=0.1, momentum=0.9, weight_decay=0.01),
        lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9, weight_decay=0.01),
    ),
    "sgd-nesterov": (
        SGD(learning_rate=0.1, momentum=0.9, nesterov=True),
        lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9, nesterov=True),
    ),
    "adam": (
        Adam(learning_rate=0.01, weight_decay=0.1),
        lambda p, lr: torch.optim.Adam(p, lr, weight_decay=0.1),
    ),
    "adamw": (
        AdamW(learning_rate=0.01, weight_decay=0.1),
        lambda p, lr: torch.optim.AdamW(p, lr, weight_decay=0.1),
    ),
}

WRAPPERS = {kind for kind in members(Optimizer).values() if issubclass(kind, Wrapper)}


def test_every_member_is_compared():
    kinds = {type(ours) for ours, _ in PAIRS.values()} | WRAPPERS
    assert kinds == set(members(Optimizer).values())


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(InvalidArgument, match="`nesterov` needs a `momentum` greater than 0"):
        SGD(nesterov=True)


@pytest.mark.parametrize("name", PAIRS)
def test_takes_the_same_steps_as_torch(name):
    ours, theirs = PAIRS[name]
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(2, 64, generator=generator)
    gradients = torch.randn(12, 2, 64, generator=generator)
    rates = [ours.learning_rate, 0.3 * ours.learning_rate]
    rows = start.clone()
    slots = {slot: torch.zeros_like(rows) for slot in ours.slots}
    decays = torch.full((2, 1), ours.weight_decay)
    for count, gradient in enumerate(gradients, start=1):
        column = torch.tensor(rates)[:, None]
        ours.update(
            Update(rows, gradient.clone(), slots, column, decays, bool(decays.any()), count)
        )
    for replica in range(2):
        parameter = torch.nn.Parameter(start[replica].clone())
        optimizer = theirs([parameter], rates[replica])
        for gradient in gradients:
            parameter.grad = gradient[replica].clone()
            optimizer.step()
        torch.testing.assert_close(rows[replica], parameter.detach(), rtol=2e-6, atol=1e-6)
