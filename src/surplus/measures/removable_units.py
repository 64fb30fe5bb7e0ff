"""Removable units: how many units of a layer a network can do without, one at a time and together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import ClassVar

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from surplus.base import InvalidArgument, derive, register
from surplus.masks import Mask
from surplus.measures.finding import Finding
from surplus.measures.judge import Judge, judge_of
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, per_layer, untreated
from surplus.passes import (
    Answers,
    Removals,
    agreement,
    mean_estimate,
    num_macs,
    removal_macs,
)

NO_LABELS = "the targets are not class labels"


@register("removable-units")
@dataclass(frozen=True, kw_only=True, slots=True)
class RemovableUnits(Measure):
    """State how much of a layer can be removed, the other layers being whole: at random, one at a time, and together.

    At random: units go in `repeats` random orders, without rescaling. Agreement is the share of predictions that stay
    those of the whole network; prunability is the largest share of units at which it is `agreement` or more, by
    linear interpolation on a grid of `steps` steps. Means over the orders have intervals by Student's t.

    One at a time: the units whose removal alone costs less accuracy than `tolerance`. Together: how many of the units
    can go at once for less than that, exactly, those that change least alone going first: by the accuracy lost, then by
    the size of the change in loss. Both are counted on the validation part, where the parts of a task are known, else
    on the data; what is chosen there costs on the test part is stated beside it.

    Removals from chains take cached activations and are exact; other networks run again for each removal, which is
    done where it does not take more than the layer's share of `most_macs`.

    Reference: casper2021frivolous, and its code (get_robustness.py); decisions/0006-exact-removals.md for single
    removals.
    Numbers of units are rounded down, as there; what is interpolated between are the shares really removed.
    """

    references: ClassVar = ("casper2021frivolous",)
    needs: ClassVar = ("weights", "labels")

    agreement: float = 0.8
    """The least share of predictions that have to stay, as published."""
    steps: int = 6
    """How many steps the grid of removed shares has, as published."""
    repeats: int = 3
    """How many random orders are drawn, as published."""
    tolerance: float = 0.001
    """The accuracy that may be lost, as a share of the examples: 0.001 is 0.1 point."""
    fine: bool = False
    """Whether to state agreement after every single removal, too, and the prunability on that curve."""
    all_at_once: bool = False
    """Whether to remove units at random from all layers at once, too, for which the network runs again each time."""
    most_macs: float | None = 1e11
    """The most multiply-accumulates to spend, in equal shares of the layers; None sets no bound."""

    def __post_init__(self) -> None:
        if self.steps < 1 or self.repeats < 1:
            raise InvalidArgument(
                f"`steps` is {self.steps} and `repeats` is {self.repeats}; both must be at least 1."
            )

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield agreement and prunability of each layer, and how many of its units can go."""
        judge = cache(lambda: judge_of(seen))
        yield from per_layer(seen.names, lambda name: self._layer(seen, name, judge))
        if self.all_at_once:
            try:
                yield from list(self._network(seen, judge))
            except Untreated as reason:
                yield untreated(f"all layers at once: {reason}")

    def _layer(self, seen: Observed, name: str, of: Callable[[], Judge]) -> Iterator[Finding]:
        group = seen.group(name)
        if group.protected is not None:
            raise Untreated(f"its units cannot be removed: {group.protected}")
        judge = of()
        kept = seen.kept(name)
        size = int(kept.sum())
        if not size:
            raise Untreated("none of its units is left")
        states = (2 + self.fine * self.repeats) * size + self.steps * self.repeats
        self._afford(states * removal_macs(seen.model, seen.units, name), judge, len(seen.names))
        orders = [self._order(seen, name, repeat) for repeat in range(self.repeats)]
        counts = sorted({step * size // self.steps for step in range(self.steps + 1)})
        masks = [
            Mask({name: without(kept, order[:count])}, "units", seen.units)
            for order in orders
            for count in counts
        ]
        shares = [count / size for count in counts]
        found = list(self._at_random(seen, masks, shares, judge))
        yield from found
        yield from (
            _in_units(each, "num_prunable", size)
            for each in found
            if each.quantity == "prunability"
        )
        if self.fine:
            yield from self._finely(seen, name, torch.stack(orders), judge)
        yield from self._chosen(seen, name, judge)

    def _network(self, seen: Observed, of: Callable[[], Judge]) -> Iterator[Finding]:
        names = [
            name
            for name in seen.names
            if seen.group(name).protected is None and bool(seen.kept(name).any())
        ]
        if not names:
            raise Untreated("no layer has units that can be removed")
        judge = of()
        macs = num_macs(seen.model, seen.units.example)
        self._afford(self.steps * self.repeats * macs, judge, 1)
        steps = range(self.steps + 1)
        masks = []
        for repeat in range(self.repeats):
            orders = {name: self._order(seen, name, repeat) for name in names}
            for step in steps:
                kept = {
                    name: without(seen.kept(name), order[: step * len(order) // self.steps])
                    for name, order in orders.items()
                }
                masks.append(Mask(kept, "units", seen.units))
        yield from self._at_random(seen, masks, [step / self.steps for step in steps], judge)

    def _order(self, seen: Observed, name: str, repeat: int) -> Int[Tensor, " kept"]:
        """Return the units that are there in a random order."""
        units = seen.kept(name).nonzero()[:, 0]
        seed = derive(seen.seed, "removable-units", name, repeat)
        return units[torch.randperm(len(units), generator=torch.Generator().manual_seed(seed))]

    def _afford(self, macs: int, judge: Judge, num_shares: int) -> None:
        total = macs * judge.num_examples
        most = float("inf") if self.most_macs is None else self.most_macs / num_shares
        if total > most:
            raise Untreated(
                f"its removals take about {total:.0e} multiply-accumulates, more than {most:.0e}:"
                " to make them all the same, ask for RemovableUnits(most_macs=None)"
            )

    def _at_random(
        self, seen: Observed, masks: Sequence[Mask], shares: Sequence[float], judge: Judge
    ) -> Iterator[Finding]:
        """Yield what the masks of each repeat, one for each share, leave of the predictions."""
        found = agreement(seen.model, masks, judge.data)

        def spread(quantity: str, values: Sequence[float], at: float | None = None) -> Finding:
            return _spread(quantity, values, at, seen.seed, judge.note)

        stays = (found.agreeing.double() / found.num_examples).view(self.repeats, -1)
        for at, column in zip(shares, stays.T, strict=True):
            yield spread("agreement", column.tolist(), at)
        if found.correct is not None:
            right = (found.correct.double() / found.num_examples).view(self.repeats, -1)
            for at, column in zip(shares, right.T, strict=True):
                yield spread("accuracy", column.tolist(), at)
        reached = [prunability(shares, row, self.agreement) for row in stays.tolist()]
        yield spread("prunability", reached)

    def _finely(
        self, seen: Observed, name: str, orders: Int[Tensor, "repeats kept"], judge: Judge
    ) -> Iterator[Finding]:
        """Yield agreement after every single removal: accuracy against the network's own predictions."""
        gone = (~seen.kept(name)).nonzero()[:, 0].expand(len(orders), -1)
        removals = Removals(seen.model, seen.units, name, Answers(seen.model, judge.data))
        curves = removals.along(torch.cat([gone, orders], dim=1))
        stays = curves.accuracy[:, gone.shape[1] :]
        size = orders.shape[1]
        shares = [count / size for count in range(size + 1)]
        for at, column in zip(shares, stays.T, strict=True):
            yield _spread("fine_agreement", column.tolist(), at, seen.seed, judge.note)
        reached = [prunability(shares, row, self.agreement) for row in stays.tolist()]
        yield _spread("fine_prunability", reached, None, seen.seed, judge.note)

    def _chosen(self, seen: Observed, name: str, judge: Judge) -> Iterator[Finding]:
        """Yield how many units can go alone, and how many together."""
        if judge.refused is not None:
            yield Finding(quantity="num_removable_each", value=None, note=judge.refused)
            yield Finding(quantity="num_removable_together", value=None, note=judge.refused)
            return
        kept = seen.kept(name)
        removals = Removals(seen.model, seen.units, name, judge.data)
        singles = removals.singles(kept)
        n, note = judge.num_examples, judge.note
        lost = (singles.full_correct - singles.correct).double() / n
        # Those that change least go first. A unit whose removal alone does good is no better than one that does
        # nothing: such gains do not add up, while the changes behind them do.
        change = (singles.loss - singles.full_loss).abs()
        units = kept.nonzero()[:, 0].tolist()
        order = torch.tensor(
            sorted(units, key=lambda i: (max(float(lost[i]), 0.0), float(change[i])))
        )
        gone = (~kept).nonzero()[:, 0]
        correct = removals.along(torch.cat([gone, order])[None]).correct[0, len(gone) :]
        together = (singles.full_correct - correct).double() / n
        # Nothing removed costs nothing.
        most = max((together < self.tolerance).nonzero()[:, 0].tolist(), default=0)
        each = int(((lost < self.tolerance) & kept).sum())
        yield Finding(quantity="num_removable_each", value=each, n=n, note=note)
        yield Finding(quantity="num_removable_together", value=most, n=n, note=note)
        cost = float(together[most])
        yield Finding(quantity="accuracy_lost_together", value=cost, n=n, note=note)
        if seen.parts is not None:
            masks = [
                Mask({name: without(kept, order[:count])}, "units", seen.units)
                for count in (0, most)
            ]
            found = agreement(seen.model, masks, seen.parts.test)
            if found.correct is not None:
                cost = int(found.correct[0] - found.correct[1]) / found.num_examples
                yield Finding(
                    quantity="test_accuracy_lost_together", value=cost, n=found.num_examples
                )


def _spread(
    quantity: str, values: Sequence[float], at: float | None, seed: int, note: str
) -> Finding:
    """Return a mean over repeats with its interval, as far as it lies among shares."""
    found = mean_estimate(values)
    lower = None if found.lower is None else min(max(found.lower, 0.0), found.value)
    upper = None if found.upper is None else max(min(found.upper, 1.0), found.value)
    return Finding(
        quantity=quantity,
        value=found.value,
        at=at,
        lower=lower,
        upper=upper,
        n=found.n,
        seed=seed,
        note=note,
    )


def _in_units(share: Finding, quantity: str, size: int) -> Finding:
    """Return a share of a layer as a number of its units."""
    value, lower, upper = (
        None if each is None else each * size for each in (share.value, share.lower, share.upper)
    )
    return replace(share, quantity=quantity, value=value, lower=lower, upper=upper)


def prunability(shares: Sequence[float], stays: Sequence[float], least: float) -> float:
    """Return the largest share removed at which `least` or more stays, on straight lines between the points.

    Example:
        >>> prunability([0.0, 0.5, 1.0], [1.0, 0.9, 0.5], 0.8)
        0.625
    """
    for place in reversed(range(len(shares))):
        if stays[place] >= least:
            break
    else:
        return 0.0
    if place == len(shares) - 1:
        return shares[place]
    fall = stays[place] - stays[place + 1]
    step = shares[place + 1] - shares[place]
    return shares[place] + step * (stays[place] - least) / fall


def without(kept: Bool[Tensor, " units"], removed: Int[Tensor, " removed"]) -> Tensor:
    """Return which units are left."""
    left = kept.clone()
    left[removed] = False
    return left
