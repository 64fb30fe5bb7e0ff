"""`Observed`: all that a measure may look at."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, cast, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from surplus.base import InvalidArgument, Parts
from surplus.masks import Mask
from surplus.measures.backward import NUM_EXAMPLES, Backward, backward, sample_of
from surplus.measures.classifier import classifier_of
from surplus.measures.needs import Need, wanted
from surplus.measures.untreated import Untreated
from surplus.passes import Data
from surplus.passes.ghost import MatrixSums
from surplus.passes.statistics import (
    ClassSums,
    Comoments,
    CrossLayer,
    Firing,
    Judged,
    Statistics,
    observe,
)
from surplus.units import Group, Units, tensors_of, used_tensor

RECTIFIERS = ("relu", "relu_", "threshold", "threshold_", "clamp_min", "clamp_min_", "hardtanh")
WITHOUT_DATA = "it looks at activations, losses or gradients, and no data were given: pass `data=`, or `--batches`"
WITHOUT_START = (
    "it compares with initialisation, which is not known: pass `initial=`, or `--initial`"
)
NOT_FINITE = "the outputs of its units are NaN or infinite on some example"
T = TypeVar("T")
History = Callable[[], Iterable[tuple[int, Mapping[str, Tensor]]]]


@final
@dataclass(frozen=True, kw_only=True, eq=False)
class Observed:
    """A network, what is known of it, and the statistics of one pass over the data, gathered when first asked for."""

    model: nn.Module
    """Not to be changed; `evaluating` holds it in evaluation mode."""
    units: Units
    names: tuple[str, ...]
    """The layers to treat, by the names of their groups."""
    needs: frozenset[Need] = frozenset()
    """What the measures that are asked declare together."""
    data: Data | None = None
    parts: Parts | None = None
    """Train, validation and test, where they are known."""
    part: str | None = None
    """Of which of them `data` is, or is a sample."""
    initial: Mapping[str, Tensor] | None = None
    """The weights at initialisation."""
    mask: Mask | None = None
    """What was removed: it stays in the model as zeros."""
    history: History | None = None
    """The weights at all times of a run, by step."""
    other: "Observed | None" = None
    """A second network, to compare with."""
    seed: int = 0
    """Of whatever is drawn."""
    positions: int | None = 64
    """How many positions of an example products are taken of; None takes all."""
    _kept: dict[Hashable, Any] = field(init=False, repr=False, default_factory=dict)

    def group(self, name: str) -> Group:
        """Return a layer's units with all their slots."""
        return self.units[name]

    def kept(self, name: str) -> Bool[Tensor, " units"]:
        """Return which units of a layer are still there."""
        if self.mask is not None and self.mask.over == "units" and name in self.mask.kept:
            return self.mask.kept[name]
        return torch.ones(self.units[name].size, dtype=torch.bool)

    def weight_vectors(self, name: str) -> Float[Tensor, "units fan_in"]:
        """Return each unit's incoming weights, in float64."""
        return self._vectors(name, None)

    def initial_vectors(self, name: str) -> Float[Tensor, "units fan_in"]:
        """Return each unit's incoming weights at initialisation, in float64.

        Raises:
            Untreated: they are not known.
        """
        return self._vectors(name, self.start())

    def start(self) -> Mapping[str, Tensor]:
        """Return the weights at initialisation.

        Raises:
            Untreated: they are not known.
        """
        if self.initial is None:
            raise Untreated(WITHOUT_START)
        return self.initial

    def matrices(self) -> dict[str, Float[Tensor, "rows columns"]]:
        """Return every weight with two axes or more, flattened to its first axis x the rest, in float64."""
        return _matrices(tensors_of(self.model), self.model)

    def initial_matrices(self) -> dict[str, Float[Tensor, "rows columns"]]:
        """Return the same at initialisation.

        Raises:
            Untreated: they are not known.
        """
        return _matrices(self.start(), self.model)

    def examples(self) -> Data:
        """Return the data: batches of (inputs, targets).

        Raises:
            Untreated: none were given.
        """
        if self.data is None:
            raise Untreated(WITHOUT_DATA)
        return self.data

    def once(self, key: Hashable, work: Callable[[], T]) -> T:
        """Return what some work returns, done when it is first asked for under this key and kept for other measures."""
        if key not in self._kept:
            self._kept[key] = work()
        return cast(T, self._kept[key])

    @cached_property
    def statistics(self) -> Statistics:
        """What the pass over the data summed up for all measures together.

        Raises:
            Untreated: no data were given.
        """
        taps = {name: tap for name in self.names if (tap := self.units[name].tap) is not None}
        try:
            readout = classifier_of(self.model, self.units)[1]
        except Untreated:
            readout = None  # whoever asks for it is told why
        asked = wanted(self.needs, self.positions, self.seed, readout)
        return observe(self.model, taps, self.examples(), asked)

    def comoments(self, name: str) -> Comoments:
        """Return means and covariances of a layer's units; rows are examples, or examples x positions.

        Raises:
            Untreated: there are no data, or the units' outputs never lie along one axis.
        """
        self._check(name, "activations")
        found = self.statistics.comoments[name]
        if not bool((found.mean.isfinite() & found.variances.isfinite()).all()):
            raise Untreated(NOT_FINITE)
        return found

    def firing(self, name: str) -> Firing:
        """Return how often a layer's rectified units are above zero.

        Raises:
            Untreated: there are no data, or the units are not rectified.
        """
        firing = self.outputs(name)
        if not self.rectified(name):
            raise Untreated("its units are not rectified, so none of them is silent or fires")
        return firing

    def rectified(self, name: str) -> bool:
        """Say whether a layer's units pass a rectifier: zero is the least that they emit."""
        tap = self.units[name].tap
        operator = "" if tap is None else tap.place.operator.removeprefix("aten::")
        return operator in RECTIFIERS and not bool((self.outputs(name).smallest < 0).any())

    def outputs(self, name: str) -> Firing:
        """Return the same of units that may be negative, where only the range of what they emit means something.

        Raises:
            Untreated: as `comoments`.
        """
        self._check(name, "firing")
        found = self.statistics.firing[name]
        if not bool((found.smallest.isfinite() & found.largest.isfinite()).all()):
            raise Untreated(NOT_FINITE)
        return found

    def class_sums(self, name: str) -> ClassSums:
        """Return sums by class of a layer's features: its units' outputs, averaged over positions.

        Raises:
            Untreated: there are no data, their targets are no labels, or the outputs never lie along one axis.
        """
        self._check(name, "activations")
        self._check(name, "labels")
        if name not in self.statistics.class_sums:
            raise Untreated("the targets are not class labels")
        found = self.statistics.class_sums[name]
        if not bool(found.sums.isfinite().all() and found.scatter.isfinite().all()):
            raise Untreated(NOT_FINITE)
        return found

    def backward(self, num_examples: int | None = NUM_EXAMPLES) -> Backward:
        """Return what one pass forward and back over a sample of the examples gave, for all who ask for as many.

        Raises:
            Untreated: there are no data, the model is no classifier on them, or it mixes its examples.
        """
        data, with_rows = self.examples(), "deltas" in self.needs
        return self.once(
            ("gradients", num_examples),
            lambda: backward(self.model, data, num_examples, self.seed, with_rows),
        )

    def sample(self, num_examples: int | None) -> tuple[Data, list[int]]:
        """Return a sample of the data, drawn by the seed, and the numbers of its examples in the data.

        Raises:
            Untreated: there are no data, or the model is no classifier on them.
        """
        return sample_of(self.model, self.examples(), num_examples, self.seed)

    @property
    def matrix_sums(self) -> MatrixSums:
        """Second moments of what weight matrices receive and of the gradients passed back to their outputs.

        Raises:
            Untreated: as `backward`.
        """
        self._declared("deltas")
        return self.backward().sums

    def input_comoments(self, parameter: str) -> Comoments:
        """Return means and covariances of what a weight matrix receives; rows are examples, or examples x positions.

        Raises:
            Untreated: there are no data, or what the parameter receives is not known.
        """
        return self._of_matrix(self.matrix_sums.inputs, parameter)

    def delta_comoments(self, parameter: str) -> Comoments:
        """Return the same of the gradients passed back to a weight matrix's outputs, of a sum of losses.

        Raises:
            Untreated: as `input_comoments`.
        """
        return self._of_matrix(self.matrix_sums.deltas, parameter)

    @property
    def classifier(self) -> tuple[str, nn.Linear]:
        """Return the last linear layer, which gives the scores of the classes, and its name.

        Raises:
            Untreated: the network ends in something else.
        """
        return classifier_of(self.model, self.units)

    @property
    def judged(self) -> Judged:
        """How right the network is on the data.

        Raises:
            Untreated: there are no data, or the network is no classifier on them.
        """
        self._declared("labels")
        found = self.statistics.judged
        if found.refused is not None:
            raise Untreated(found.refused)
        return found

    @property
    def readout(self) -> ClassSums:
        """Sums by class of what the last linear layer receives, with products within classes.

        Raises:
            Untreated: there are no data, the targets are no labels, or the layer does not take one vector per example.
        """
        self._declared("labels")
        self.examples()
        name, _ = self.classifier
        found = self.statistics.readout
        if found.refused is not None or found.sums is None:
            raise Untreated(found.refused or f"`{name}` receives nothing on these data")
        if not bool(found.sums.sums.isfinite().all() and found.sums.scatter.isfinite().all()):
            raise Untreated(f"what `{name}` receives is NaN or infinite on some example")
        return found.sums

    @property
    def features(self) -> CrossLayer:
        """Products of the features of all pairs of layers that can be seen.

        Raises:
            Untreated: there are no data, or so many features that their products would fill the memory.
        """
        self._declared("cross_layer")
        if not self.statistics.features:
            raise Untreated("the outputs of its layers never lie along one axis")
        found = self.statistics.features[0]
        if found.refused is not None:
            raise Untreated(found.refused)
        return found

    def _vectors(self, name: str, of: Mapping[str, Tensor] | None) -> Float[Tensor, "units fan_in"]:
        if of is not None:
            used = [slot.tensor for slot in self.group(name).incoming]
            of = _as_now(of, used)
            if any(of[each].shape != self.units.shapes[each] for each in used):
                raise Untreated("its weights had another shape at initialisation")
        vectors = self.units.weight_vectors(name, self.model if of is None else of)
        if vectors.shape[1] == 0:
            raise Untreated("no weights compute its units")
        return vectors.double().cpu()

    def _of_matrix(self, found: Mapping[str, Comoments], parameter: str) -> Comoments:
        if parameter not in found:
            reason = self.matrix_sums.unseen.get(parameter, "the pass did not look at it")
            raise Untreated(f"what `{parameter}` receives is not known: {reason}")
        return found[parameter]

    def _check(self, name: str, need: Need) -> None:
        self._declared(need)
        self.examples()
        if self.units[name].tap is None:
            raise Untreated("the outputs of its units never lie along one axis")

    def _declared(self, need: Need) -> None:
        if need not in self.needs:
            raise InvalidArgument(
                f'A measure looks at "{need}" but does not declare it: add it to its `needs`.'
            )


def _matrices(tensors: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    names = [name for name, parameter in model.named_parameters() if parameter.dim() >= 2]
    there = _as_now(tensors, names)
    return {name: used_tensor(there, name).double().cpu().flatten(1) for name in names}


def _as_now(tensors: Mapping[str, Tensor], names: Iterable[str]) -> Mapping[str, Tensor]:
    """Return the weights of another time, under the names that they have in the network today.

    Raises:
        Untreated: one of them is not there.
    """
    missing = [name for name in names if name not in tensors]
    for name in missing:
        # Torch's own pruning calls a weight so once it has a mask.
        if not name.endswith("_orig") or name.removesuffix("_orig") not in tensors:
            raise Untreated(f"the weights at initialisation that were given have no `{name}`")
    return {**tensors, **{name: tensors[name.removesuffix("_orig")] for name in missing}}
