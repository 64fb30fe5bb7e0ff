"""`keep_to`: the mask that brings a model down to a number of parameters, of multiply-accumulates, or a latency."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from torch import nn

from surplus.base import InvalidArgument
from surplus.edits import cut
from surplus.masks import Mask, Scores, keep
from surplus.passes.costs import latencies, num_macs, num_parameters

Quantity = Literal["parameters", "macs", "latency"]
ROUNDS = 15


class Reached(NamedTuple):
    """What was asked and what was reached, as fractions of the dense model's."""

    quantity: Quantity
    asked: float
    reached: float
    unit_sparsity: float
    """The fraction of units that had to go."""


def keep_to(
    model: nn.Module,
    scores: Scores,
    quantity: Quantity,
    fraction: float,
    within: Literal["layer", "model"] = "model",
    floor: int = 1,
    multiple: int = 1,
) -> tuple[Mask, Reached]:
    """Keep as many of the best units as a cut model of the asked size has room for.

    The number of removed units is found by bisection, on models that are really cut, so what is reached is at most what
    was asked, and asking for less never keeps more. A latency is measured side by side with the dense model's and
    scatters; parameters and multiply-accumulates are exact.

    Args:
        model: The model on which the units were found.
        scores: Scores over its units.
        quantity: "parameters", "macs" or "latency".
        fraction: How much of the dense model's to keep, in (0, 1].
        within: Whether each layer loses the same share of its units, or scores are compared across layers.
        floor: How many units each layer keeps at least.
        multiple: Layers keep a multiple of so many units.

    Returns:
        The mask, and what was reached.

    Raises:
        InvalidArgument: `fraction` lies outside (0, 1], even the smallest cut is larger (the error says how large), or
            nothing can be removed.
    """
    if not 0 < fraction <= 1:
        hint = f" For {fraction:g} percent pass {fraction / 100:g}." if 1 < fraction <= 100 else ""
        raise InvalidArgument(
            f"`fraction` is {fraction:g}; it must lie in (0, 1]: it is the share of the dense model's {quantity}"
            f" that is kept.{hint}"
        )
    units = keep(scores, 0.0).checked_units()
    cost = _cost(model, units.example, quantity)
    total = sum(len(each) for each in scores.values.values())

    def masked(removed: int) -> tuple[Mask, float]:
        mask = keep(scores, removed / total, within, floor=floor, multiple=multiple)
        return mask, cost(cut(model, mask, verify=False)[0])

    low, high = 0, total - 1
    best = masked(high)
    if best[1] > fraction:
        raise InvalidArgument(
            f"`fraction` is {fraction:g}, but with everything gone that can go {best[1]:.3g} of the {quantity} is left."
        )
    while low < high:
        middle = (low + high) // 2
        found = masked(middle)
        if found[1] <= fraction:
            best, high = found, middle
        else:
            low = middle + 1
    mask, reached = best
    return mask, Reached(quantity, fraction, reached, mask.sparsity)


def _cost(model: nn.Module, example: Any, quantity: Quantity) -> Callable[[nn.Module], float]:
    """Return what a smaller model costs, as a fraction of the model's cost."""
    if quantity == "parameters":
        dense = num_parameters(model)
        return lambda smaller: num_parameters(smaller) / dense
    if quantity == "macs":
        macs = num_macs(model, example)
        return lambda smaller: num_macs(smaller, example) / macs
    if quantity != "latency":
        raise InvalidArgument(
            f'`quantity` is {quantity!r}; it must be "parameters", "macs" or "latency".'
        )

    def share(smaller: nn.Module) -> float:
        whole, part = latencies([model, smaller], example, ROUNDS)
        return part.median / whole.median

    return share
