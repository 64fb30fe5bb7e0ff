"""Removals in general: every image visits every unit; the next layer may be dense or convolutional."""

from collections.abc import Iterator
from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from surplus.passes.data import Data
from surplus.passes.downstream import Downstream
from surplus.passes.judging import judge_
from surplus.passes.pairwise import PairSums, Visited, odd, pair_sums

ELEMENTS = 1 << 18  # of one buffer: a megabyte of float32, so that a block stays in the cache
STEPS = 4  # updates between two runs of what follows
HELD = 1 << 30


@final
class DenseEngine:
    """Walks through the data block by block; all orders are walked while a block is at hand.

    What the next layer receives is held in memory up to `HELD` bytes; beyond that it is computed anew at each call.
    """

    def __init__(self, downstream: Downstream, data: Data) -> None:
        self._down = downstream
        self._data = data
        self._held: list[tuple[Tensor, Tensor]] = []
        self._count, num_bytes = 0, 0
        for inputs, targets in downstream.inputs(data):
            self._count += len(targets)
            num_bytes += inputs.nbytes
            if num_bytes <= HELD:
                self._held.append((inputs, targets))
        if num_bytes > HELD:
            self._held = []

    def _blocks(self) -> Iterator[tuple[Tensor, Tensor]]:
        for inputs, targets in self._held or self._down.inputs(self._data):
            yield from self._cut(inputs, targets)

    def along(
        self, adding: Int[Tensor, "orders units"]
    ) -> tuple[Float[Tensor, "orders states"], Int[Tensor, "orders states"], int]:
        """Return summed losses and hits after adding 0, 1, 2 ... units in each order."""
        num_orders, size = adding.shape
        loss = torch.zeros(num_orders, size + 1, dtype=torch.float64)
        correct = torch.zeros(num_orders, size + 1, dtype=torch.int64)
        for inputs, targets in self._blocks():
            empty = self._down.empty(len(targets), tuple(inputs.shape[1:]))
            for place, order in enumerate(adding.tolist()):
                state = empty.clone()
                self._judge([state], targets, loss[place], correct[place], [0])
                for start in range(0, size, STEPS):
                    states = []
                    for unit in order[start : start + STEPS]:
                        state = state + self._down.term(inputs, unit)
                        states.append(state)
                    numbers = list(range(start + 1, start + 1 + len(states)))
                    self._judge(states, targets, loss[place], correct[place], numbers)
        return loss, correct, self._count

    def singles(
        self, kept: Bool[Tensor, " units"]
    ) -> tuple[Float[Tensor, " units_and_full"], Int[Tensor, " units_and_full"], int]:
        """Return summed losses and hits without each unit; the last entry is that of no removal."""
        size = len(kept)
        loss = torch.zeros(size + 1, dtype=torch.float64)
        correct = torch.zeros(size + 1, dtype=torch.int64)
        present = kept.nonzero()[:, 0].tolist()
        for inputs, targets in self._blocks():
            received = self._down.masked(inputs, kept)
            full = self._down.reader(received)
            empty = self._down.empty(len(targets), tuple(inputs.shape[1:]))
            firing = (self._down.by_unit(received) != 0).any(2)
            alone = firing & (firing.sum(1, keepdim=True) == 1)
            self._judge([full], targets, loss, correct, [size])
            for start in range(0, len(present), STEPS):
                chosen = present[start : start + STEPS]
                states = []
                for unit in chosen:
                    state = full - self._down.term(received, unit)
                    # What is left without the only unit that fires is the bias, not a rounding error.
                    state[alone[:, unit]] = empty[alone[:, unit]]
                    states.append(state)
                self._judge(states, targets, loss, correct, chosen)
        loss[:size][~kept] = loss[size]
        correct[:size][~kept] = correct[size]
        return loss, correct, self._count

    def pairs(self, kept: Bool[Tensor, " units"]) -> PairSums:
        """Return sums over all images without each unit and without each two of them."""
        return pair_sums(self._down, self._visited(kept))

    def _visited(self, kept: Bool[Tensor, " units"]) -> Iterator[Visited]:
        """Yield the images with all units that are kept; none joins them where their number is even."""
        present = kept.nonzero()[:, 0].tolist()
        padding = odd(max(len(present), 1)) - len(present)
        unit = torch.tensor(present + [len(kept)] * padding)
        for inputs, targets in self._blocks():
            received = self._down.masked(inputs, kept)
            full = self._down.reader(received)
            at_once = max(1, ELEMENTS // (len(unit) * full[0].numel()))
            firing = (self._down.by_unit(received) != 0).any(2)[:, present]
            for some in torch.split(torch.arange(len(targets)), at_once):
                terms = [self._down.term(received[some], each) for each in present]
                terms += [torch.zeros_like(full[some])] * padding
                yield Visited(
                    full=full[some],
                    terms=torch.stack(terms),
                    unit=unit[:, None].expand(-1, len(some)),
                    firing=F.pad(firing[some], (0, padding)).T,
                    targets=targets[some],
                    empty=self._down.empty(1, tuple(inputs.shape[1:])),
                )

    def _cut(self, inputs: Tensor, targets: Tensor) -> list[tuple[Tensor, Tensor]]:
        per_example = self._down.reader(inputs[:1]).numel()
        block = max(16, ELEMENTS // per_example)
        return list(zip(torch.split(inputs, block), torch.split(targets, block), strict=True))

    def _judge(
        self,
        states: list[Tensor],
        targets: Tensor,
        loss: Float[Tensor, " states"],
        correct: Int[Tensor, " states"],
        numbers: list[int],
    ) -> None:
        outputs = self._down.outputs(torch.cat(states))
        lost, hits = judge_(outputs, targets.repeat(len(states)))
        loss[numbers] += lost.view(len(states), -1).double().sum(1).cpu()
        correct[numbers] += hits.view(len(states), -1).sum(1).cpu()
