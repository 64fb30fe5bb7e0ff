"""Exact loss and accuracy after every removal of units, without running the network again.

Removing unit i takes the term h_i w_i from the next layer's pre-activations and changes nothing before it. So the
inputs of that layer are computed once; each removal costs one update and whatever follows that layer. Two engines:

- `sparse`: a unit that is silent on an image changes nothing there, so an image only visits the units that fire on it
  (a quarter of them in a trained LeNet-300-100). Images with similar numbers of firing units share a block.
- `dense`: every image visits every unit; for units with several inputs to the next layer, and for convolutions.

Along an order, both walk from the empty layer backwards, adding units in reverse order, so that exact zeros stay exact;
blocks of images are small enough to stay in the processor's cache. For each two units together, `pairwise` shifts the
list of an image's terms against itself.
"""

from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits import example_for
from surplus.passes.costs import num_macs
from surplus.passes.data import Data
from surplus.passes.dense import DenseEngine
from surplus.passes.downstream import Downstream
from surplus.passes.rerun import RerunEngine
from surplus.passes.sparse import SparseEngine
from surplus.units import Units


class Curves(NamedTuple):
    """Loss and accuracy along removal orders: entry j belongs to the network after j removals."""

    loss: Float[Tensor, "orders removals_plus_one"]
    """Mean cross-entropy, in nats."""
    correct: Int[Tensor, "orders removals_plus_one"]
    """How many examples have the right label as their largest output; ties go to the lowest class."""
    num_examples: int

    @property
    def accuracy(self) -> Float[Tensor, "orders removals_plus_one"]:
        """The fraction of examples that are right."""
        return self.correct.double() / self.num_examples


class Singles(NamedTuple):
    """Loss and accuracy after removing each unit alone."""

    loss: Float[Tensor, " units"]
    correct: Int[Tensor, " units"]
    full_loss: float
    """Before any removal."""
    full_correct: int
    num_examples: int


class Pairs(NamedTuple):
    """What removing each unit alone and each two units together changes."""

    loss_change: Float[Tensor, " units"]
    """By how much the mean loss rises without the unit, in nats; 0 for one that is not kept."""
    loss_error: Float[Tensor, " units"]
    """Its standard error over the examples."""
    correct_change: Int[Tensor, " units"]
    """How many more examples are right without the unit."""
    num_changed: Int[Tensor, " units"]
    """How many examples become right or wrong without it."""
    loss_interaction: Float[Tensor, "units units"]
    """By how much the change without both exceeds the sum of the two changes; 0 on the diagonal."""
    correct_interaction: Int[Tensor, "units units"]
    """The same of the number of right answers."""
    full_loss: float
    """Before any removal."""
    full_correct: int
    num_examples: int

    @property
    def loss(self) -> Float[Tensor, "units units"]:
        """The mean loss without units i and j, and on the diagonal without unit i."""
        return self.full_loss + _sums_of_two(self.loss_change) + self.loss_interaction

    @property
    def correct(self) -> Int[Tensor, "units units"]:
        """How many examples are right without units i and j, and on the diagonal without unit i."""
        return self.full_correct + _sums_of_two(self.correct_change) + self.correct_interaction


@torch.no_grad()
def removal_macs(model: nn.Module, units: Units, layer: str) -> int:
    """Return about how many multiply-accumulates it takes to judge one removal on one example.

    Raises:
        InvalidArgument: the layer's units cannot be removed.

    Example:
        >>> from surplus.units import find_units
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 5))
        >>> removal_macs(net, find_units(net, torch.zeros(1, 4)), "0")
        12
    """
    down = Downstream.of(model, units, layer)
    if down is None:
        return num_macs(model, units.example)
    (value,), _ = example_for(model, units.example)
    inputs, _ = next(down.inputs([(value[:1], torch.zeros(1))]))
    one = -(-num_macs(down.reader, inputs) // down.num_units)
    return one + num_macs(nn.Sequential(*down.tail), down.reader(inputs))


@final
class Removals:
    """Removes units of one layer and says exactly what it costs, on fixed data.

    In a chain, caches and updates; in any other network, or where a removal changes more than one sum, each masked
    network runs again.

    Args:
        model: A classifier; it is used in evaluation mode and left as it was.
        units: Its units.
        layer: The layer whose units are removed.
        data: The examples to judge on.

    Raises:
        InvalidArgument: the layer's units cannot be removed.

    Reference: own; decisions/0006-exact-removals.md.
    The exactness is checked against masking and running the network again (tests/oracles).
    """

    def __init__(self, model: nn.Module, units: Units, layer: str, data: Data) -> None:
        self._num_units = units.chosen(layer).size
        self._engine: SparseEngine | DenseEngine | RerunEngine
        down = Downstream.of(model, units, layer)
        if down is None:
            self._engine = RerunEngine(model, units, layer, data)
        else:
            self._engine = self._choose(down, data)

    def _choose(self, down: Downstream, data: Data) -> SparseEngine | DenseEngine:
        if down.width > 1 or not isinstance(down.reader, nn.Linear):
            return DenseEngine(down, data)
        found = [(down.by_unit(inputs)[:, :, 0], targets) for inputs, targets in down.inputs(data)]
        inputs = torch.cat([each for each, _ in found])
        targets = torch.cat([each for _, each in found])
        return SparseEngine(down, inputs, targets)

    @torch.no_grad()
    def along(self, orders: Int[Tensor, "orders units"]) -> Curves:
        """Remove the units one by one in each of the given orders.

        Raises:
            InvalidArgument: a row is not a permutation of the layer's units.
        """
        size = self._num_units
        expected = torch.arange(size)
        if orders.dim() != 2 or not all(
            torch.equal(o.sort().values, expected) for o in orders.cpu()
        ):
            raise InvalidArgument(
                f"Each order must be a permutation of the {size} units of the layer."
            )
        loss, correct, count = self._engine.along(orders.cpu().flip(1))
        return Curves(loss.flip(1) / count, correct.flip(1), count)

    @torch.no_grad()
    def singles(self, kept: Bool[Tensor, " units"] | None = None) -> Singles:
        """Remove each unit alone from the layer, of which only the `kept` units are there (default: all).

        For a unit that is not kept, nothing changes: its loss is that before the removal.
        """
        if kept is None:
            kept = torch.ones(self._num_units, dtype=torch.bool)
        loss, correct, count = self._engine.singles(kept.cpu())
        return Singles(
            loss[:-1] / count, correct[:-1], float(loss[-1]) / count, int(correct[-1]), count
        )

    @torch.no_grad()
    def pairs(self, kept: Bool[Tensor, " units"] | None = None) -> Pairs:
        """Remove each two units together from the layer, of which only the `kept` units are there (default: all)."""
        if kept is None:
            kept = torch.ones(self._num_units, dtype=torch.bool)
        sums = self._engine.pairs(kept.cpu())
        n = sums.count
        mean = sums.loss_change[:-1] / n
        variance = (sums.squared_loss_change[:-1] / n - mean.square()).clamp_min(0)
        return Pairs(
            loss_change=mean,
            loss_error=(variance / max(n - 1, 1)).sqrt(),
            correct_change=sums.correct_change[:-1].round().long(),
            num_changed=sums.num_changed[:-1].round().long(),
            loss_interaction=sums.loss_interaction / n,
            correct_interaction=sums.correct_interaction.round().long(),
            full_loss=sums.loss / n,
            full_correct=round(sums.correct),
            num_examples=n,
        )


def _sums_of_two(changes: Shaped[Tensor, " units"]) -> Shaped[Tensor, "units units"]:
    """Return the sum of each two entries, and on the diagonal the entry."""
    sums = changes + changes[:, None]
    sums.diagonal().copy_(changes)
    return sums
