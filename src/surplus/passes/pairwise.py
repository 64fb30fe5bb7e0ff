"""Every two units removed together, exactly: the sums over images from which effects and interactions follow.

On an image, the interaction of two units is l_ij - l_i - l_j + l, where l is the loss and indices say what is removed.
It is zero unless both fire, so an image only visits the pairs of units that fire on it. The pre-activations without
both differ from those without one by a term that is at hand: all pairs of one image are a few shifts of its list of
terms against itself, each pair once, and each state costs one subtraction and whatever follows.
"""

from collections.abc import Iterable
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from surplus.passes.downstream import Downstream
from surplus.passes.judging import judge_

ELEMENTS = 1 << 20  # of the states at hand; fewer of them cost more calls than they spare the cache


class Visited(NamedTuple):
    """Some images, and what each of the units visited on them adds to the next layer's pre-activations."""

    full: Float[Tensor, "images ..."]
    """The pre-activations with all units."""
    terms: Float[Tensor, "visits images ..."]
    """What to take off for each visit; their number is odd."""
    unit: Int[Tensor, "visits images"]
    """Which unit is visited; the number of units stands for none, whose term is zero."""
    firing: Bool[Tensor, "visits images"]
    """Whether that unit is not silent."""
    targets: Int[Tensor, " images"]
    empty: Float[Tensor, "1 ..."]
    """The pre-activations of an image on which no unit fires: the next layer's bias."""


@final
class PairSums:
    """Sums over images, in float64; units in rows and columns, with one more of each for what pads."""

    def __init__(self, num_units: int) -> None:
        self.num_units = num_units
        self.loss, self.correct, self.count = 0.0, 0.0, 0
        """Of the full layer."""
        self.loss_change = torch.zeros(num_units + 1, dtype=torch.float64)
        self.squared_loss_change = torch.zeros(num_units + 1, dtype=torch.float64)
        self.correct_change = torch.zeros(num_units + 1, dtype=torch.float64)
        self.num_changed = torch.zeros(num_units + 1, dtype=torch.float64)
        self._loss_interaction = torch.zeros((num_units + 1) ** 2, dtype=torch.float64)
        self._correct_interaction = torch.zeros((num_units + 1) ** 2, dtype=torch.float64)

    @property
    def loss_interaction(self) -> Float[Tensor, "units units"]:
        """The interactions on the loss; symmetric, with zeros on the diagonal."""
        return self._both_ways(self._loss_interaction)

    @property
    def correct_interaction(self) -> Float[Tensor, "units units"]:
        """The interactions on the number of right answers."""
        return self._both_ways(self._correct_interaction)

    def add_full(self, lost: Float[Tensor, " images"], hits: Float[Tensor, " images"]) -> None:
        """Take in losses and hits of the full layer."""
        self.loss += float(lost.sum())
        self.correct += float(hits.sum())
        self.count += len(lost)

    def add_changes(
        self,
        unit: Int[Tensor, "..."],
        lost: Float[Tensor, "..."],
        hits: Float[Tensor, "..."],
    ) -> None:
        """Take in what single removals change."""
        where = unit.reshape(-1).cpu()
        for total, each in (
            (self.loss_change, lost),
            (self.squared_loss_change, lost.square()),
            (self.correct_change, hits),
            (self.num_changed, hits.abs()),
        ):
            total.index_add_(0, where, each.reshape(-1).cpu())

    def add_interactions(
        self,
        first: Int[Tensor, "..."],
        second: Int[Tensor, "..."],
        lost: Float[Tensor, "..."],
        hits: Float[Tensor, "..."],
    ) -> None:
        """Take in the interactions of pairs of units, in one of their two orders."""
        where = (first * (self.num_units + 1) + second).reshape(-1).cpu()
        self._loss_interaction.index_add_(0, where, lost.reshape(-1).cpu())
        moved = hits.reshape(-1).cpu()
        there = moved.nonzero()[:, 0]  # most pairs leave most answers as they are
        self._correct_interaction.index_add_(0, where[there], moved[there])

    def _both_ways(self, flat: Float[Tensor, " cells"]) -> Float[Tensor, "units units"]:
        square = flat.view(self.num_units + 1, -1)[:-1, :-1]
        return (square + square.T).fill_diagonal_(0.0)


@torch.no_grad()
def pair_sums(down: Downstream, blocks: Iterable[Visited]) -> PairSums:
    """Judge every image without each unit and without each two of those visited on it."""
    sums = PairSums(down.num_units)
    for block in blocks:
        _add_block(sums, down, block)
    return sums


def images_at_once(num_visits: int, size: int) -> int:
    """Return how many images with so many visits, and states of that size, are worked on together."""
    pairs = num_visits * max(num_visits - 1, 2) // 2
    return max(1, ELEMENTS // (pairs * size))


def odd(num: int) -> int:
    """Return the number, or the next one if it is even.

    In a ring of an odd number of things, the neighbours at distance 1, 2 ... (n - 1) / 2 are all pairs, each once.
    """
    return num + 1 - num % 2


def _add_block(sums: PairSums, down: Downstream, block: Visited) -> None:
    visits, images = block.unit.shape
    lost, hits = _judged(down, block.full, block.targets)
    sums.add_full(lost, hits)
    without = block.full - block.terms
    one = _judged(down, without.flatten(0, 1), block.targets)
    alone = [each.view(visits, images) - base for each, base in zip(one, (lost, hits), strict=True)]
    sums.add_changes(block.unit, alone[0], alone[1])
    exact = block.firing & (block.firing.sum(0) == 2)
    bare = down.outputs(block.empty.clone()) if bool(exact.any()) else None
    terms, unit, exactly, lost_alone, hits_alone = (
        torch.cat([each, each]) for each in (block.terms, block.unit, exact, *alone)
    )
    last = (visits - 1) // 2
    steps = max(1, ELEMENTS // max(block.terms.numel(), 1))
    for start in range(1, last + 1, steps):
        num = min(steps, last + 1 - start)
        states = without - _shifted(terms, start, num)
        outputs = down.outputs(states.flatten(0, 2))
        if bare is not None:
            # What is left without the only two units that fire is the bias, not a rounding error.
            outputs = outputs.contiguous()
            outputs[:, (exact & _shifted(exactly, start, num)).flatten()] = bare
        found = judge_(outputs, block.targets.expand(num * visits, -1).reshape(-1))
        pair_lost, pair_hits = (each.double().view(num, visits, images) for each in found)
        sums.add_interactions(
            block.unit.expand(num, -1, -1),
            _shifted(unit, start, num),
            pair_lost - (lost + alone[0]) - _shifted(lost_alone, start, num),
            pair_hits - (hits + alone[1]) - _shifted(hits_alone, start, num),
        )


def _judged(
    down: Downstream, states: Float[Tensor, "states ..."], targets: Int[Tensor, " images"]
) -> tuple[Float[Tensor, " states"], Float[Tensor, " states"]]:
    outputs = down.outputs(states.clone())
    lost, hits = judge_(outputs, targets.repeat(len(states) // len(targets)))
    return lost.double(), hits.double()


def _shifted(doubled: Tensor, start: int, num: int) -> Tensor:
    """Return windows on a list that was joined to itself: shifted by `start`, `start + 1` ... places; a view."""
    half = len(doubled) // 2
    return doubled.unfold(0, half, 1)[start : start + num].movedim(-1, 1)
