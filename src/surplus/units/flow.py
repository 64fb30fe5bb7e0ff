"""The flow: what is known of every tensor while a model runs, and what the rules say to it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from surplus.units.atoms import NONE, Atoms
from surplus.units.calling import source_line
from surplus.units.computed import parametrisations
from surplus.units.labels import NOTHING, Carried, Label, frozen, laid, merged
from surplus.units.numbers import Numbers
from surplus.units.places import Place

STRICT = False
"""Whether an error inside a rule surfaces, as tests want it, instead of protecting what the rule was for."""


class Integer(NamedTuple):
    """An integer that a module of the user's holds, or one in a tuple or list that it holds."""

    module: str
    name: str
    place: int | None


class Dimension(NamedTuple):
    """The length of one axis of a tensor, as the code reads it."""

    labels: tuple[Label, ...]
    axis: int


class Size(NamedTuple):
    """Where an integer of the user's counts units: as many as are kept along an axis of these ids."""

    integer: Integer
    ids: Int[Tensor, "..."]
    axis: int


Lookup = Callable[["Integer | Dimension"], int | None]
"""Returns the value that a length has after a removal, or None where it stays."""


class Length(NamedTuple):
    """A length that the code computes from others: after a removal, as many positions must be kept."""

    formula: Callable[[Lookup], int]
    origins: tuple[Integer | Dimension, ...]
    ids: Int[Tensor, "..."]
    """The atoms along its axis; all of length 1 where there are none."""
    axis: int
    size: int
    reason: str


class View(NamedTuple):
    """The output of an operator, with units along one axis."""

    order: int
    place: Place
    elementwise: bool
    axis: int
    ids: Int[Tensor, " positions"]


class Statistic(NamedTuple):
    """An operator that computes a statistic over units."""

    place: Place
    ids: Int[Tensor, "..."]
    """Which atom each element of its first input carries; axes along which it does not vary have length 1."""


@final
class Flow:
    """The labels of all tensors, the atoms they carry, and where in the user's code the model is."""

    def __init__(self, model: nn.Module) -> None:
        self.atoms = Atoms()
        self.tensors: dict[str, Tensor] = {}
        self.num_axes: dict[str, int] = {}
        """How many axes each tensor of the model has."""
        self.parameters: set[str] = set()
        """Which tensors of the model are parameters."""
        self.unused: dict[int, str] = {}
        """The tensors of the model that no operator has been given yet, by identity."""
        self.singles: dict[str, int] = {}
        """Weights that compute a single unit, and at which operator they do."""
        self.embeddings: set[str] = set()
        """Weights whose rows are looked up."""
        self.heads: list[Int[Tensor, "..."]] = []
        """Units that are compared with one another position by position, as queries and keys are."""
        self.views: list[View] = []
        """Outputs of operators in which units lie along one axis."""
        self.statistics: list[Statistic] = []
        self.numbers: list[Numbers] = []
        self.sizes: list[Size] = []
        self.lengths: list[Length] = []
        self.failed = False
        """Whether an error of this package's is on its way up."""
        self.computed: list[Integer | Dimension] = []
        """What the code turned into a number that is no length: its value has to stay."""
        self.divides_freely = False
        """Whether an axis is being divided at places that integers of the user's say."""
        self.parametrised = parametrisations(model)
        """What computes the weights of modules that `torch.nn.utils.parametrize` changed, by their names."""
        self.module = ""
        """The module that runs now."""
        self.operator = ""
        """The operator that runs now."""
        self.order = 0
        """How many operators have run."""
        self.place = Place("", "", 0)
        """Where the operator is that runs now."""
        self._carried = WeakTensorKeyDictionary()
        self._register(model)

    def _register(self, model: nn.Module) -> None:
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if tensor in self._carried:  # a buffer that is a parameter, too
                continue
            self.unused[id(tensor)] = name
            self.tensors[name] = tensor
            self.num_axes[name] = tensor.dim()
            if isinstance(tensor, nn.Parameter):
                self.parameters.add(name)
            zero = isinstance(tensor, nn.Parameter)
            labels = tuple(
                laid(self.atoms.add(name, axis, size), axis, tensor.dim(), zero)
                for axis, size in enumerate(tensor.shape)
                if size > 1
            )
            self._carried[tensor] = Carried(labels, weight=True)

    def of(self, tensor: Any) -> Carried:
        """Return what is known of a tensor, or nothing of anything else."""
        if not isinstance(tensor, Tensor):
            return NOTHING
        known: Carried = self._carried.get(tensor, NOTHING)  # type: ignore[no-untyped-call]
        return known

    def note_use(self, arguments: Any) -> None:
        """Note which tensors of the model an operator was given, alone or in lists."""
        for each in tree_leaves(arguments):
            self.unused.pop(id(each), None)

    def note_blocks(self, tensor: Tensor, axis: int, num_blocks: int) -> None:
        """Note that an axis is made of equal blocks, as many as a literal says."""
        for label in self.of(tensor).labels:
            if axis in label.axes and num_blocks > 1:
                blocks = label.ids.movedim(axis, 0).reshape(num_blocks, -1)
                why = self.because("they are shuffled in equal groups")
                self.atoms.even(tuple(blocks), why)

    def along(self, tensor: Tensor, axis: int) -> Int[Tensor, " positions"] | None:
        """Return the ids along one axis of a tensor of the model, or None where it has length 1."""
        for label in self.of(tensor).labels:
            if label.axes == (axis,):
                return label.ids.reshape(-1)
        return None

    def set(self, tensor: Tensor, carried: Carried) -> None:
        """Record what a tensor carries."""
        self._carried[tensor] = carried

    def freeze(self, label: Label, axes: Sequence[int], why: str) -> Label | None:
        """Make a label stop varying along axes whose length cannot change; see `frozen`."""
        return frozen(label, axes, self.atoms, partial(self.because, why))

    def merge(self, labels: Iterable[Label], why: str, product: bool) -> tuple[Label, ...]:
        """Unite labels that vary along a common axis; see `merged`."""
        return merged(labels, self.atoms, partial(self.because, why), product)

    def unite(self, some: Int[Tensor, "..."], others: Int[Tensor, "..."], why: str) -> None:
        """Tie atoms pairwise; `why` is said of what is paired with no unit."""
        self.atoms.unite(some, others, partial(self.because, why))

    def protect(self, carried: Carried, why: str) -> None:
        """Say that none of a tensor's units can be removed."""
        for label in carried.labels:
            self.atoms.protect(label.ids, self.because(why))

    def name_of(self, label: Label) -> str:
        """Return the tensor of the model that a label comes from."""
        return self.atoms.owner(int(label.ids.reshape(-1)[0])).tensor

    def note_size(self, source: "Integer | Dimension | int", tensor: Tensor, axis: int) -> None:
        """Note where the length of a new tensor's axis comes from: the user's integer, another axis, or a literal."""
        carried = self.of(tensor)
        if carried.wild and tensor.shape[axis] > 1:
            self.note_constant(source, tensor, axis)
            return
        labels: list[Label | None] = []
        if isinstance(source, Integer) and not any(axis in each.axes for each in carried.labels):
            self._note_fixed(source, tensor.shape[axis])
        for label in carried.labels:
            left: Label | None = label
            if axis in label.axes:
                if isinstance(source, Integer):
                    self.sizes.append(Size(source, label.ids, axis))
                elif isinstance(source, Dimension):
                    left = self._same_length(label, axis, source)
                else:
                    left = self.freeze(label, [axis], f"the code says that there are {source}")
            labels.append(left)
        self.set(
            tensor, replace(carried, labels=tuple(each for each in labels if each is not None))
        )

    def _same_length(self, label: Label, axis: int, source: Dimension) -> Label | None:
        """Tie the positions of two axes of which the code says that they are equally long."""
        for other in source.labels:
            if other.axes == (source.axis,) and label.axes == (axis,):
                why = "the code makes two axes equally long"
                self.unite(label.ids.reshape(-1), other.ids.reshape(-1), why)
                return label
        if any(source.axis in other.axes for other in source.labels):
            return label
        return self.freeze(
            label, [axis], "the code makes them as many as an axis of fixed length has positions"
        )

    def note_sum(self, parts: Sequence[tuple[Integer, int]], tensor: Tensor, axis: int) -> None:
        """Note that the length of a new tensor's axis is a sum of integers of the user's."""
        carried = self.of(tensor)
        if carried.wild:
            self._lay(self.atoms.add("", axis, tensor.shape[axis]), tensor, axis)
        start = 0
        for integer, length in parts:
            self.note_bound(integer, tensor, axis, (start, start + length))
            start += length

    def note_constant(self, source: "Integer | Dimension | int", tensor: Tensor, axis: int) -> None:
        """Let an axis of a constant, or one that repeats, carry what its length counts, and tie what it meets to it."""
        if isinstance(source, Integer):
            ids = self.atoms.add("", axis, tensor.shape[axis])
            self.sizes.append(Size(source, ids, 0))
        elif isinstance(source, Dimension):
            found = [each for each in source.labels if each.axes == (source.axis,)]
            if not found:
                return
            ids = found[0].ids.reshape(-1)
        else:
            ids = self.atoms.add("", axis, tensor.shape[axis])
            self.atoms.protect(ids, self.because(f"the code says that there are {source}"))
        self._lay(ids, tensor, axis)

    def _lay(self, ids: Int[Tensor, " positions"], tensor: Tensor, axis: int) -> None:
        """Let a constant carry units along one axis."""
        carried = self.of(tensor)
        label = laid(ids, axis, tensor.dim(), zero=False)
        self.set(tensor, replace(carried, labels=(*carried.labels, label)))

    def note_bound(
        self, integer: Integer, tensor: Tensor, axis: int, bounds: tuple[int, int]
    ) -> None:
        """Note that an integer counts positions of a tensor's axis, between bounds."""
        start, end = bounds
        carried = self.of(tensor)
        found = [label.ids for label in carried.labels if axis in label.axes]
        for ids in found:
            self.sizes.append(Size(integer, ids.narrow(axis, start, end - start), axis))
        if not found and not carried.wild and end > start:
            self._note_fixed(integer, end - start)

    def _note_fixed(self, integer: Integer, size: int) -> None:
        """Note that an integer counts positions that are no units, so that it cannot count fewer units either."""
        self.sizes.append(Size(integer, torch.full((size,), NONE), 0))

    def note_length(
        self,
        formula: Callable[[Lookup], int],
        origins: tuple[Integer | Dimension, ...],
        tensor: Tensor,
        axis: int,
        bounds: tuple[int, int],
    ) -> None:
        """Note that positions of an axis, between bounds, are as many as the code computes from other lengths."""
        start, end = bounds
        why = self.because("the code computes a length from others, which would not follow")
        found = [label.ids for label in self.of(tensor).labels if axis in label.axes]
        for ids in found or [torch.full((1,) * tensor.dim(), NONE)]:
            part = ids.narrow(axis, start, end - start) if axis < ids.dim() and found else ids
            self.lengths.append(Length(formula, origins, part, axis, end - start, why))

    def note_decision(
        self,
        formula: Callable[[Lookup], int],
        origins: tuple[Integer | Dimension, ...],
        outcome: bool,
    ) -> None:
        """Note that the code compared lengths: after a removal, it must decide alike."""
        if any(isinstance(each, Integer) or each.labels for each in origins):
            why = self.because("the code decides by how many there are")
            with torch._C.DisableTorchFunction(), _disable_current_modes():
                nothing = torch.full((1,), NONE)
            self.lengths.append(Length(formula, origins, nothing, 0, int(outcome), why))

    def freeze_computed(self) -> None:
        """Hold every length that the code computes a number from, as it does to scale attention by its width."""
        why = "the code computes a number from how many there are"
        for source in self.computed:
            if isinstance(source, Dimension):
                found = [(label, source.axis) for label in source.labels]
            else:
                own = [each for each in self.sizes if each.integer == source]
                found = [(Label(each.ids), each.axis) for each in own]
            for label, axis in found:
                self.freeze(label, [axis], why)

    def meet(self, label: Label, how: str) -> None:
        """Say that units are added up without weights."""
        self.atoms.meet(label.ids, self.because(how))

    def couple(self, label: Label, kind: str) -> None:
        """Say that units share the statistics that this operator computes."""
        self.atoms.couple(label.ids, self.because(kind))
        self.statistics.append(Statistic(self.place, label.ids))

    def single(self, weight: Carried) -> None:
        """Note that a weight computes one unit alone, which has to stay."""
        for label in weight.labels[:1]:
            self.singles.setdefault(self.name_of(label), self.order)

    @contextmanager
    def guarded(self, tensors: Any) -> Iterator[None]:
        """Turn an error of this package's into a protection of the units of some tensors; tests let it surface."""
        try:
            yield
        except Exception as failed:
            if STRICT:
                self.failed = True
                raise
            for each in tree_leaves(tensors):
                self.protect(self.of(each), f"Surplus failed to follow them, with {failed!r}")

    def because(self, why: str) -> str:
        """Complete a reason with the operator, the module and the line of the user's code."""
        module = f" in `{self.module}`" if self.module else ""
        if self.module in self.parametrised:
            module += f", parametrised with {self.parametrised[self.module]}"
        return f"{why} (`{self.operator}`{module}{source_line()})"
