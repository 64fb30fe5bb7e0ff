"""Removals where each unit is one input of a dense layer: an image visits only the units that fire on it."""

import math
import warnings
from collections.abc import Iterator
from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from surplus.passes.downstream import Downstream
from surplus.passes.judging import judge_
from surplus.passes.pairwise import PairSums, Visited, images_at_once, odd, pair_sums

BLOCK = 512  # images that share their steps
STEPS = 8  # updates between two runs of what follows; a block's buffers stay in the cache


@final
class SparseEngine:
    """Holds the layer's activations; `along` and `singles` walk through them block by block."""

    def __init__(
        self,
        downstream: Downstream,
        inputs: Float[Tensor, "examples units"],
        targets: Int[Tensor, " examples"],
    ) -> None:
        self._down = downstream
        firing = (inputs != 0).sum(1)
        by_count = firing.argsort(stable=True)
        self._inputs = inputs[by_count]
        self._targets = targets[by_count]
        self._most = firing[by_count].tolist()
        self._rooms: dict[str, Tensor] = {}
        # One more row of zeros: the unit that padding points to.
        weights = downstream.outgoing()
        self._weights = torch.cat([weights, torch.zeros_like(weights[:1])])

    def along(
        self, adding: Int[Tensor, "orders units"]
    ) -> tuple[Float[Tensor, "orders states"], Int[Tensor, "orders states"], int]:
        """Return summed losses and hits after adding 0, 1, 2 ... units in each order."""
        num_orders, size = adding.shape
        loss = torch.zeros(num_orders, size + 2, dtype=torch.float64)
        correct = torch.zeros(num_orders, size + 2, dtype=torch.float64)
        for start in range(0, len(self._targets), BLOCK):
            inputs = self._inputs[start : start + BLOCK]
            targets = self._targets[start : start + BLOCK]
            visits = _visits(inputs, self._most[start + len(targets) - 1])
            padded = torch.cat([inputs.T, torch.zeros_like(inputs.T[:1])]).contiguous()
            for place, order in enumerate(adding):
                positions = _in_order(visits, order)
                unit = torch.cat([order, torch.tensor([size])])[positions]
                outputs = self._walk(unit.to(inputs.device), padded, chained=True)
                lost, hits = judge_(outputs, targets.repeat(len(unit) + 1))
                _add_changes(loss[place], correct[place], positions, lost, hits)
        losses = loss[:, :-1].cumsum(1)
        self._warn_of_nan(losses)
        return losses, correct[:, :-1].cumsum(1).round().long(), len(self._targets)

    def singles(
        self, kept: Bool[Tensor, " units"]
    ) -> tuple[Float[Tensor, " units_and_full"], Int[Tensor, " units_and_full"], int]:
        """Return summed losses and hits without each unit; the last entry is that of no removal."""
        size = len(kept)
        change = torch.zeros(size + 1, dtype=torch.float64)
        gain = torch.zeros(size + 1, dtype=torch.float64)
        full_loss, full_correct = 0.0, 0.0
        for start in range(0, len(self._targets), BLOCK):
            inputs = self._inputs[start : start + BLOCK] * kept.to(self._inputs)
            targets = self._targets[start : start + BLOCK]
            unit = _visits(inputs, int((inputs != 0).sum(1).max())).T.contiguous().long()
            padded = torch.cat([inputs.T, torch.zeros_like(inputs.T[:1])]).contiguous()
            outputs = self._walk(unit.to(inputs.device), padded, chained=False)
            lost, hits = judge_(outputs, targets.repeat(len(unit) + 1))
            lost, hits = (
                lost.view(len(unit) + 1, -1).double(),
                hits.view(len(unit) + 1, -1).double(),
            )
            full_loss += float(lost[0].sum())
            full_correct += float(hits[0].sum())
            change.index_add_(0, unit.reshape(-1), (lost[1:] - lost[0]).reshape(-1).cpu())
            gain.index_add_(0, unit.reshape(-1), (hits[1:] - hits[0]).reshape(-1).cpu())
        change[size] = gain[size] = 0.0
        losses = change + full_loss
        self._warn_of_nan(losses)
        return losses, (gain + full_correct).round().long(), len(self._targets)

    def pairs(self, kept: Bool[Tensor, " units"]) -> PairSums:
        """Return sums over all images without each unit and without each two of them."""
        sums = pair_sums(self._down, self._visited(self._inputs * kept.to(self._inputs)))
        self._warn_of_nan(sums.loss_change[:-1])
        return sums

    def _visited(self, inputs: Float[Tensor, "examples units"]) -> Iterator[Visited]:
        """Yield the images with the units that fire on them, those with most of them first."""
        size = inputs.shape[1]
        firing = (inputs != 0).sum(1)
        by_count = firing.argsort(stable=True, descending=True)
        most = firing[by_count].tolist()
        start = 0
        while start < len(most):
            visits = odd(max(most[start], 1))
            chosen = by_count[start : start + images_at_once(visits, self._weights.shape[1])]
            start += len(chosen)
            some = torch.cat([inputs[chosen], inputs.new_zeros(len(chosen), 1)], dim=1)
            unit = _visits(some, visits).T.clamp_max(size).contiguous().long()
            values = some.T.gather(0, unit.to(some.device))
            empty = self._down.empty(1, (size,))
            yield Visited(
                full=empty + some[:, :-1] @ self._weights[:-1],
                terms=values[..., None] * self._weights[unit],
                unit=unit,
                firing=values != 0,
                targets=self._targets[chosen],
                empty=empty,
            )

    def _walk(
        self,
        unit: Int[Tensor, "visits examples"],
        padded: Float[Tensor, "units_and_none examples"],
        *,
        chained: bool,
    ) -> Float[Tensor, "classes states"]:
        """Return the outputs of every state of a block, state by state.

        Chained: state 0 is the empty layer, and each visit adds its unit to the state before. Otherwise state 0 is
        the full layer, and each visit takes its unit out of that one.
        """
        visits, count = unit.shape
        values = padded.gather(0, unit)
        base = self._down.empty(count, (len(padded) - 1,))
        bare = self._down.outputs(base[:1].clone())
        if not chained:
            values = -values
            base += padded[:-1].T @ self._weights[:-1]
        outputs = self._buffer("outputs", len(bare), visits + 1, count)
        outputs[:, 0] = self._down.outputs(base.clone())
        states = self._buffer("states", STEPS, *base.shape)
        rows = self._buffer("rows", STEPS * count, base.shape[1])
        before = base
        for start in range(0, visits, STEPS):
            steps = min(STEPS, visits - start)
            chosen = unit[start : start + steps].reshape(-1)
            torch.index_select(self._weights, 0, chosen, out=rows[: steps * count])
            for step, row in enumerate(torch.split(rows[: steps * count], count)):
                torch.addcmul(before, row, values[start + step][:, None], out=states[step])
                before = states[step] if chained else base
            if chained:
                before = base.copy_(states[steps - 1])
            found = self._down.outputs(states[:steps].view(steps * count, -1))
            outputs[:, start + 1 : start + 1 + steps] = found.view(len(bare), steps, count)
        if not chained:
            # What is left without the only unit that fires is the bias, not a rounding error.
            outputs[:, 1:2, (padded != 0).sum(0) == 1] = bare[:, :, None]
        return outputs.view(len(bare), -1)

    def _warn_of_nan(self, losses: Float[Tensor, "..."]) -> None:
        """Say that losses are unknown: they are sums of differences, so one infinite loss makes NaN of all after it."""
        unknown = int(losses.isnan().sum())
        if unknown:
            warnings.warn(
                f"{unknown} of {losses.numel()} losses after removals from `{self._down.group.name}` are NaN:"
                " on some example the network's outputs, and so the loss, are infinite or NaN."
                " The accuracies are not affected.",
                stacklevel=5,
            )

    def _buffer(self, name: str, *shape: int) -> Tensor:
        """Return uninitialised room of the given shape, reused from call to call: fresh pages are slow."""
        size = math.prod(shape)
        room = self._rooms.get(name)
        if room is None or room.numel() < size:
            room = self._rooms[name] = self._weights.new_empty(size)
        return room[:size].view(shape)


def _visits(inputs: Float[Tensor, "examples units"], most: int) -> Int[Tensor, "examples visits"]:
    """Return which units fire on each image, in ascending order, padded with the number of units."""
    size = inputs.shape[1]
    unit = torch.arange(size, dtype=torch.int32, device=inputs.device)
    return _sorted(torch.where(inputs != 0, unit, size))[:, :most]


def _in_order(
    visits: Int[Tensor, "examples visits"], order: Int[Tensor, " units"]
) -> Int[Tensor, "visits examples"]:
    """Return the positions in the order of the units that fire on each image, ascending."""
    size = len(order)
    position = torch.empty(size + 1, dtype=torch.int32)
    position[order] = torch.arange(size, dtype=torch.int32)
    position[size] = size
    placed = position.to(visits.device).index_select(0, visits.reshape(-1)).view(visits.shape)
    return _sorted(placed).T.contiguous().long()


def _sorted(rows: Int[Tensor, "examples visits"]) -> Int[Tensor, "examples visits"]:
    """Sort each row; NumPy's sort is vectorised and about forty times faster than torch's on a CPU."""
    if rows.is_cuda:
        return rows.sort(dim=1).values
    return torch.from_numpy(np.sort(rows.numpy(), axis=1))


def _add_changes(
    loss: Float[Tensor, " states"],
    correct: Float[Tensor, " states"],
    positions: Int[Tensor, "visits examples"],
    lost: Float[Tensor, " states_by_examples"],
    hits: Bool[Tensor, " states_by_examples"],
) -> None:
    """Enter the first state at 0 and each later change at the position of the unit that caused it."""
    lost = lost.view(len(positions) + 1, -1).double()
    hits = hits.view(len(positions) + 1, -1).double()
    loss[0] += lost[0].sum().cpu()
    correct[0] += hits[0].sum().cpu()
    where = positions.reshape(-1).cpu() + 1
    loss.index_add_(0, where, (lost[1:] - lost[:-1]).reshape(-1).cpu())
    correct.index_add_(0, where, (hits[1:] - hits[:-1]).reshape(-1).cpu())
