"""One pass over the data that serves many measures: sums by unit, by pair of units, by class and by pair of layers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, final, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from surplus.base import derive
from surplus.passes.data import Data, batches
from surplus.passes.statistics.class_sums import ClassSums
from surplus.passes.statistics.comoments import Comoments
from surplus.passes.statistics.cross_layer import CrossLayer
from surplus.passes.statistics.firing import Firing
from surplus.passes.statistics.judged import Judged
from surplus.passes.statistics.readout import Readout, runs_of
from surplus.passes.taps import by_example
from surplus.units import Tap, evaluating, left_as_found, tapping

CHUNK = 500
"""How many examples run at a time: what is kept of a batch does not grow with the caller's batches."""
MOST_CLASSES = 10_000
"""Whole numbers from here on are taken for something else than classes, unless the network has as many outputs."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What a pass is to sum up; the rest costs nothing."""

    comoments: bool = False
    """Means and covariances of each layer's units."""
    firing: bool = False
    """How often units fire, alone and together."""
    class_sums: bool = False
    """Sums of each layer's features by class."""
    cross_layer: bool = False
    """Covariances of all layers' features with one another."""
    judged: bool = False
    """How right a classifier is."""
    readout: nn.Module | None = None
    """The last linear layer, if what it receives is to be summed up by class."""
    positions: int | None = 64
    """How many positions of an example become rows of products; None takes all. Counts and ranges take all."""
    seed: int = 0
    """Of the draw of positions."""


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Statistics:
    """What one pass over the data summed up. Nothing in it grows with the data."""

    wanted: Wanted
    comoments: dict[str, Comoments] = field(default_factory=dict)
    """Of each layer's units: rows are examples, or examples x positions."""
    firing: dict[str, Firing] = field(default_factory=dict)
    class_sums: dict[str, ClassSums] = field(default_factory=dict)
    """Of each layer's features: a unit's output, averaged over positions."""
    features: list[CrossLayer] = field(default_factory=list)
    """Of all layers' features side by side; one entry, or none if it was not wanted."""
    judged: Judged = field(default_factory=Judged)
    """How right the classifier is; empty if it was not wanted."""
    readout: Readout = field(default_factory=Readout)
    """Of what the last linear layer receives; empty if it was not wanted."""

    def take(
        self, name: str, outputs: Float[Tensor, "batch units positions"], generator: torch.Generator
    ) -> Float[Tensor, "batch units"]:
        """Sum up what the units of a layer emit on a batch, and return its features."""
        num_examples, num_units, num_positions = outputs.shape
        wanted = self.wanted
        if wanted.firing:
            self.firing.setdefault(name, Firing(num_units)).add(outputs)
        if wanted.comoments or wanted.firing:
            chosen = outputs
            if wanted.positions is not None and num_positions > wanted.positions:
                # Evenly spaced from a drawn beginning, another one for each batch: a view, where a draw of each
                # position would copy.
                step = num_positions // wanted.positions
                begin = int(torch.randint(step, (), generator=generator))
                chosen = outputs[:, :, begin::step][:, :, : wanted.positions]
            rows = chosen.transpose(1, 2).reshape(-1, num_units)
            if wanted.comoments:
                self.comoments.setdefault(name, Comoments(num_units)).add(rows, num_examples)
            if wanted.firing:
                self.firing[name].add_rows(rows)
        return outputs.mean(2).double()

    def take_features(
        self, features: Mapping[str, Float[Tensor, "batch _"]], labels: Int[Tensor, " batch"] | None
    ) -> None:
        """Sum up the features of all layers on a batch."""
        if labels is not None and self.wanted.class_sums:
            for name, each in features.items():
                self.class_sums.setdefault(name, ClassSums(each.shape[1])).add(each, labels)
        if self.wanted.cross_layer:
            if not self.features:
                self.features.append(CrossLayer())
            self.features[0].add(features)

    def merge(self, other: "Statistics") -> None:
        """Take in what another pass summed up, on other examples."""
        self.judged.merge(other.judged)
        self.readout.merge(other.readout)
        _merge(self.comoments, other.comoments)
        _merge(self.firing, other.firing)
        _merge(self.class_sums, other.class_sums)
        if self.features and other.features:
            self.features[0].merge(other.features[0])
        elif other.features:
            self.features.extend(other.features)


@runtime_checkable
class _Sum(Protocol):
    """What sums up, in parts."""

    def merge(self, other: Any) -> None: ...


S = TypeVar("S", bound=_Sum)


def _merge(mine: dict[str, S], theirs: Mapping[str, S]) -> None:
    """In place: take in the sums of another pass, layer by layer."""
    for name, each in theirs.items():
        if name in mine:
            mine[name].merge(each)
        else:
            mine[name] = each


def observe(model: nn.Module, taps: Mapping[str, Tap], data: Data, wanted: Wanted) -> Statistics:
    """Run the model over the data once, in evaluation mode, and sum up what its units emit.

    The model, its buffers and the random streams are left as they were.

    Args:
        model: The model on which the units were found, or one of the same shape.
        taps: Where the units of each layer are seen.
        data: The examples; labels are read only for class sums.
        wanted: What to sum up.

    Raises:
        InvalidArgument: the data hold no examples, or the model takes another path on them than on its example.
    """
    found = Statistics(wanted=wanted)
    unlabelled = False
    generator = torch.Generator().manual_seed(derive(wanted.seed, "positions"))
    with torch.no_grad(), evaluating(model), left_as_found(model):
        for inputs, labels in chunks(data, model):
            features: dict[str, Tensor] = {}

            def receive(
                name: str,
                values: Tensor,
                num_examples: int = len(inputs),
                features: dict[str, Tensor] = features,
            ) -> None:
                outputs = by_example(values, taps[name], num_examples)
                features[name] = found.take(name, outputs, generator)

            with runs_of(wanted.readout) as runs, tapping(model, taps, receive):
                outputs = model(inputs)
            usable = labels if _are_classes(labels, outputs) else None
            unlabelled |= usable is None
            found.take_features(features, usable)
            if wanted.judged:
                found.judged.add(outputs, usable)
            if wanted.readout is not None:
                found.readout.add(runs, len(inputs), usable)
    if unlabelled:
        found.class_sums.clear()  # those of some batches would be taken for all
    return found


def _are_classes(labels: Tensor, outputs: Any) -> bool:
    """Say whether targets are one class for each example."""
    if labels.dim() != 1 or labels.is_floating_point():
        return False
    classes = isinstance(outputs, Tensor) and outputs.dim() == 2 and len(outputs) == len(labels)
    most = max(outputs.shape[1], MOST_CLASSES) if classes else MOST_CLASSES
    return 0 <= int(labels.min()) and int(labels.max()) < most


def chunks(data: Data, like: nn.Module, size: int = CHUNK) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches in pieces of at most `size` examples."""
    for inputs, targets in batches(data, like):
        yield from zip(torch.split(inputs, size), torch.split(targets, size), strict=True)
