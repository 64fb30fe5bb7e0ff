"""Random halves: whether a layer's units are each other's average."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool
from torch import Tensor

from surplus.base import InvalidArgument, derive, register
from surplus.measures.finding import Finding
from surplus.measures.judge import Judge, judge_of
from surplus.measures.measure import Measure
from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated, per_layer
from surplus.passes import mean_estimate, performance
from surplus.units import Group, copied


@register("random-halves")
@dataclass(frozen=True, kw_only=True, slots=True)
class RandomHalves(Measure):
    """State the accuracy when a random half of a layer's units is gone, as it is, and with the others twice as loud.

    Where a layer is an average, each unit adding its share of the same sum, the remaining half says the same, but half
    as loud: doubling its outgoing weights brings the accuracy back. Where a few units carry the function it does not
    help, since they may be gone. Means over the draws have intervals by Student's t.

    Reference: own; decisions/0022-theories.md.
    """

    needs: ClassVar = ("weights", "labels")

    share: float = 0.5
    """The share of the units that stays."""
    repeats: int = 5
    """How many random halves are drawn."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or self.repeats < 1:
            raise InvalidArgument(
                f"`share` is {self.share:g} and `repeats` is {self.repeats}; a share lies in (0, 1], and there is at"
                " least one draw."
            )

    def measure(self, seen: Observed) -> Iterator[Finding]:
        """Yield the accuracy of the whole network, then what is left of it layer by layer."""
        judge = judge_of(seen)
        if judge.refused is not None:
            raise Untreated(judge.refused)
        whole = performance(seen.model, judge.data)
        yield Finding(
            quantity="accuracy", value=whole.accuracy, n=whole.num_examples, note=judge.note
        )
        yield from per_layer(seen.names, lambda name: self._layer(seen, name, judge))

    def _layer(self, seen: Observed, name: str, judge: Judge) -> Iterator[Finding]:
        group = seen.group(name)
        if group.protected is not None:
            raise Untreated(f"its units cannot be removed: {group.protected}")
        if not group.outgoing:
            raise Untreated("no weights read its units")
        there = seen.kept(name).nonzero()[:, 0]
        num = max(1, round(self.share * len(there)))
        for quantity, factor in (
            ("halved_accuracy", 1.0),
            ("rescaled_accuracy", len(there) / num),
        ):
            values = []
            for repeat in range(self.repeats):
                generator = torch.Generator().manual_seed(derive(seen.seed, "halves", name, repeat))
                kept = torch.zeros(group.size, dtype=torch.bool)
                kept[there[torch.randperm(len(there), generator=generator)[:num]]] = True
                values.append(_accuracy(seen, group, kept, factor, judge))
            mean = mean_estimate(values)
            yield Finding(
                quantity=quantity,
                value=mean.value,
                lower=mean.lower,
                upper=mean.upper,
                n=mean.n,
                at=num / len(there),
                seed=seen.seed,
                note=judge.note,
            )


@torch.no_grad()
def _accuracy(
    seen: Observed, group: Group, kept: Bool[Tensor, " units"], factor: float, judge: Judge
) -> float:
    """Return the accuracy when units are not heard any more, and the others by a factor louder."""
    model = copied(seen.model)
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    for slot in group.outgoing:
        tensor = tensors[slot.tensor]
        loudness = tensor.new_ones(tensor.shape[slot.axis])
        loudness[slot.index[kept].reshape(-1)] = factor
        loudness[slot.index[~kept].reshape(-1)] = 0.0
        shape = [1] * tensor.dim()
        shape[slot.axis] = -1
        tensor.mul_(loudness.view(shape))
    return performance(model, judge.data).hits() / judge.num_examples
