"""Exact loss and accuracy when the units that are left take over, by given weights, what removed ones did."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor, nn

from surplus.edits import StandIns, merge
from surplus.masks import Mask
from surplus.passes.data import Data
from surplus.passes.dense import HELD
from surplus.passes.downstream import Downstream
from surplus.passes.performance import Performance, performance
from surplus.units import Units


@final
class TakingOver:
    """Judges one layer with some of its units removed, on fixed data, whoever stands in for them.

    In a chain, what the next layer receives is computed once, and its weights are changed from case to case; in any
    other network each merged network runs as a whole.

    Args:
        model: A classifier; it is left as it was.
        units: Its units.
        layer: The layer whose units are removed.
        data: The examples to judge on.

    Raises:
        InvalidArgument: the layer's units cannot be removed.
    """

    def __init__(self, model: nn.Module, units: Units, layer: str, data: Data) -> None:
        self._model, self._units, self._layer, self._data = model, units, layer, data
        self._down = Downstream.of(model, units, layer)
        self._held: list[tuple[Tensor, Tensor]] = []
        if self._down is None:
            return
        self._weight = self._down.reader.weight.detach().clone()
        num_bytes = 0
        for inputs, targets in self._down.inputs(data):
            num_bytes += inputs.nbytes
            if num_bytes > HELD:
                self._held = []
                break
            self._held.append((inputs, targets))

    @torch.no_grad()
    def performance(self, kept: Bool[Tensor, " units"], stand_ins: StandIns) -> Performance:
        """Return the loss and accuracy with the kept units only.

        Args:
            kept: The units that are left, at least one.
            stand_ins: How they stand in for each of the others; without constants.

        Raises:
            InvalidArgument: the stand-ins are not for these units.
        """
        stand_ins.check(self._layer, int((~kept).sum()), int(kept.sum()))
        if self._down is None:
            return self._merged(kept, stand_ins)
        self._rewrite_(self._down, kept, stand_ins.coefficients)
        loss, correct, count = 0.0, 0, 0
        for inputs, targets in self._held or self._down.inputs(self._data):
            outputs = self._down.read(inputs)
            loss += float(F.cross_entropy(outputs, targets, reduction="sum"))
            correct += int((outputs.argmax(1) == targets).sum())
            count += len(targets)
        return Performance(loss / count, correct, count)

    def _rewrite_(self, down: Downstream, kept: Tensor, coefficients: Tensor) -> None:
        """In place: give the next layer the weights with which the kept units do the work of all."""
        (slot,) = down.group.outgoing
        vectors = slot.vectors(self._weight).double()
        vectors[kept] += coefficients.to(vectors).T @ vectors[~kept]
        vectors[~kept] = 0.0
        positions = slot.index.reshape(-1).to(self._weight.device)
        changed = slot.slab(vectors, self._weight.shape).to(self._weight)
        down.reader.weight.copy_(self._weight.index_copy(slot.axis, positions, changed))

    def _merged(self, kept: Tensor, stand_ins: StandIns) -> Performance:
        mask = Mask({self._layer: kept}, "units", self._units)
        if bool(kept.all()):
            return performance(self._model, self._data)
        smaller, _ = merge(self._model, mask, {self._layer: stand_ins}, verify=False)
        return performance(smaller, self._data)
