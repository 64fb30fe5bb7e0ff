"""Shapley values of units: what each changes on the way from the full layer to the empty one, over all orders."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from surplus.base import InvalidArgument
from surplus.passes.estimates import quantile_of_student
from surplus.passes.removals import Removals


class Shapley(NamedTuple):
    """Estimates by unit, as changes when the unit goes; over all units they sum to empty minus full layer."""

    loss: Float[Tensor, " units"]
    """By how much the mean loss rises, in nats."""
    loss_half: Float[Tensor, " units"]
    """Half the width of its 95 % interval over draws of orders, not over examples."""
    accuracy: Float[Tensor, " units"]
    """By how much the accuracy rises; negative for a unit that helps."""
    accuracy_half: Float[Tensor, " units"]
    """Half the width of its interval."""
    num_draws: int
    """How many pairs of opposite orders they rest on."""


def shapley(removals: Removals, kept: Bool[Tensor, " units"], num_draws: int, seed: int) -> Shapley:
    r"""Estimate the Shapley value of each unit from random orders of removal and their reverses.

    A unit's value is the mean, over all orders, of what its removal changes at its place in the order. Each order gives
    one draw for each unit, and the draws of an order sum to empty minus full whatever the order. An order and its
    reverse are one draw: where one finds the unit still redundant, the other finds it alone.

    Args:
        removals: The layer, on the data.
        kept: The units that are still there; the others get 0.
        num_draws: How many pairs of orders.
        seed: Of the orders.

    Raises:
        InvalidArgument: there are fewer than two draws, which give no interval.

    Reference: shapley1953value; castro2009polynomial for the sampling, mitchell2022sampling for the antithetic pairs.
    ghorbani2020neuron judges units so, by truncated orders and a bandit; here each order is walked to its end.
    """
    if num_draws < 2:
        raise InvalidArgument(
            f"`num_draws` is {num_draws}; an interval needs at least 2 pairs of orders."
        )
    gone, there = (~kept).nonzero()[:, 0], kept.nonzero()[:, 0]
    generator = torch.Generator().manual_seed(seed)
    orders = []
    for _ in range(num_draws):
        drawn = there[torch.randperm(len(there), generator=generator)]
        orders += [torch.cat([gone, drawn]), torch.cat([gone, drawn.flip(0)])]
    walked = torch.stack(orders)
    curves = removals.along(walked)
    loss, loss_half = _estimated(curves.loss, walked, kept)
    accuracy, accuracy_half = _estimated(curves.accuracy, walked, kept)
    return Shapley(loss, loss_half, accuracy, accuracy_half, num_draws)


def _estimated(
    along: Float[Tensor, "orders states"],
    orders: Int[Tensor, "orders units"],
    kept: Bool[Tensor, " units"],
) -> tuple[Float[Tensor, " units"], Float[Tensor, " units"]]:
    changes = along.diff(dim=1)
    by_unit = torch.zeros_like(changes).scatter_(1, orders, changes)
    draws = by_unit.view(len(orders) // 2, 2, -1).mean(1) * kept
    half = quantile_of_student(len(draws) - 1) * draws.std(0) / len(draws) ** 0.5
    return draws.mean(0), half
