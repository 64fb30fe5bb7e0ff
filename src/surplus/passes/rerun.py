"""Removals on any network: the masked network runs again for each of them. The slow way, and always right."""

from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from surplus.edits import masked
from surplus.masks import Mask
from surplus.passes.data import Data, batches
from surplus.passes.judging import judge_
from surplus.passes.pairwise import PairSums
from surplus.passes.performance import performance
from surplus.units import Units, evaluating


@final
class RerunEngine:
    """Judges the masked network for every state; statistics of normalisations are taken over the units kept."""

    def __init__(self, model: nn.Module, units: Units, layer: str, data: Data) -> None:
        self._model = model
        self._units = units
        self._layer = layer
        self._data = data

    def along(
        self, adding: Int[Tensor, "orders units"]
    ) -> tuple[Float[Tensor, "orders states"], Int[Tensor, "orders states"], int]:
        """Return summed losses and hits after adding 0, 1, 2 ... units in each order."""
        num_orders, size = adding.shape
        loss = torch.zeros(num_orders, size + 1, dtype=torch.float64)
        correct = torch.zeros(num_orders, size + 1, dtype=torch.int64)
        count = 0
        for place, order in enumerate(adding.tolist()):
            kept = torch.zeros(size, dtype=torch.bool)
            for state in range(size + 1):
                if state:
                    kept[order[state - 1]] = True
                loss[place, state], correct[place, state], count = self._judged(kept)
        return loss, correct, count

    def singles(
        self, kept: Bool[Tensor, " units"]
    ) -> tuple[Float[Tensor, " units_plus_one"], Int[Tensor, " units_plus_one"], int]:
        """Return summed losses and hits without each unit, and in the last entry with all that are kept."""
        full = self._judged(kept)
        found = []
        for unit in range(len(kept)):
            without = kept.clone()
            without[unit] = False
            found.append(self._judged(without) if bool(kept[unit]) else full)
        losses, hits, counts = zip(*found, full, strict=True)
        return torch.tensor(losses, dtype=torch.float64), torch.tensor(hits), counts[0]

    def pairs(self, kept: Bool[Tensor, " units"]) -> PairSums:
        """Return sums over all examples without each unit and without each two of them."""
        sums = PairSums(len(kept))
        present = kept.nonzero()[:, 0]
        lost, hits = self._each(kept)
        sums.add_full(lost, hits)
        alone = []
        for unit in present:
            found = self._each(_without(kept, unit))
            alone.append((found[0] - lost, found[1] - hits))
            sums.add_changes(unit.expand(len(lost)), *alone[-1])
        for place, first in enumerate(present):
            for other, second in enumerate(present[:place]):
                found = self._each(_without(kept, first, second))
                moved = [
                    pair - full - one - two
                    for pair, full, one, two in zip(
                        found, (lost, hits), alone[place], alone[other], strict=True
                    )
                ]
                where = (first.expand(len(lost)), second.expand(len(lost)))
                sums.add_interactions(*where, *moved)
        return sums

    def _each(
        self, kept: Bool[Tensor, " units"]
    ) -> tuple[Float[Tensor, " examples"], Float[Tensor, " examples"]]:
        """Return the loss of each example and whether its label wins."""
        mask = Mask({self._layer: kept}, "units", self._units)
        model = masked(self._model, mask)
        with evaluating(model):
            found = [
                judge_(model(inputs).T.contiguous(), targets)
                for inputs, targets in batches(self._data, model)
            ]
        lost, hits = zip(*found, strict=True)
        return torch.cat(lost).double().cpu(), torch.cat(hits).double().cpu()

    def _judged(self, kept: Bool[Tensor, " units"]) -> tuple[float, int, int]:
        mask = Mask({self._layer: kept}, "units", self._units)
        judged = performance(masked(self._model, mask), self._data)
        return judged.loss * judged.num_examples, judged.hits(), judged.num_examples


def _without(kept: Bool[Tensor, " units"], *units: Int[Tensor, ""]) -> Bool[Tensor, " units"]:
    left = kept.clone()
    left[torch.stack(units)] = False
    return left
