"""Labels: which unit each element of a tensor belongs to, while the network runs."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor

from surplus.units.atoms import NONE, Atoms, Reason, told


@final
@dataclass(frozen=True, eq=False, slots=True)
class Label:
    """The atom that each element carries; axes along which it does not vary have length 1."""

    ids: Int[Tensor, "..."]
    zero: bool = False
    """Whether the elements of removed units are zero in the masked network."""

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes along which the unit varies."""
        return tuple(axis for axis, size in enumerate(self.ids.shape) if size > 1)


@final
@dataclass(frozen=True, eq=False, slots=True)
class Carried:
    """What the tracer knows of one tensor."""

    labels: tuple[Label, ...] = ()
    weight: bool = False
    """Whether it was computed from the model's own tensors alone."""
    wild: bool = False
    """Whether it is filled with one constant, so that its size follows whatever it meets."""


NOTHING = Carried()


def laid(ids: Int[Tensor, " positions"], axis: int, dim: int, zero: bool) -> Label:
    """Return the label of a tensor of `dim` axes along one of which units lie.

    Example:
        >>> laid(torch.arange(3), 1, 4, zero=True).ids.shape
        torch.Size([1, 3, 1, 1])
    """
    shape = [1] * dim
    shape[axis] = -1
    return Label(ids.view(shape), zero)


def compressed(ids: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
    """Give axes along which the ids do not vary the length 1."""
    for axis in range(ids.dim()):
        if ids.shape[axis] > 1:
            first = ids.narrow(axis, 0, 1)
            if ids.stride(axis) == 0 or bool((ids == first).all()):
                ids = first
    return ids


def viewed(
    label: Label, shape: Sequence[int], view: Callable[[Tensor], Tensor | Sequence[Tensor]]
) -> list[Label | None]:
    """Run an operator that only moves elements on a label; one result per tensor that it returns."""
    results = view(label.ids.expand(tuple(shape)))
    each = [results] if isinstance(results, Tensor) else list(results)
    return [_or_none(compressed(ids), label.zero) for ids in each]


def refolded(label: Label, old: Sequence[int], new: Sequence[int]) -> Label | None:
    """Reshape a label, spreading it out only where axes along which it varies are folded or unfolded."""
    spread: list[int] = []
    shape: list[int] = []
    for before, after in _foldings(old, new):
        varies = any(label.ids.shape[axis] > 1 for axis in before)
        spread += [old[axis] if varies else 1 for axis in before]
        shape += [new[axis] if varies else 1 for axis in after]
    return _or_none(compressed(label.ids.expand(spread).reshape(shape)), label.zero)


def _foldings(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Pair the axes of two shapes that hold as many elements, in the smallest sets that do.

    Example:
        >>> _foldings((2, 6, 5), (2, 3, 2, 5))
        [([0], [0]), ([1], [1, 2]), ([2], [3]), ([], [])]
    """
    foldings: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(old) and j < len(new):
        before, after = [i], [j]
        left, right = old[i], new[j]
        while left != right:
            if left < right:
                i += 1
                left *= old[i]
                before.append(i)
            else:
                j += 1
                right *= new[j]
                after.append(j)
        i, j = i + 1, j + 1
        foldings.append((before, after))
    # What remains on either side has length 1.
    foldings.append((list(range(i, len(old))), list(range(j, len(new)))))
    return foldings


def _or_none(ids: Int[Tensor, "..."], zero: bool) -> Label | None:
    # Where nothing varies any more there is nothing to cut; how it came to that was noted on the way.
    return None if ids.numel() < 2 or bool((ids == NONE).all()) else Label(ids, zero)


def aligned(label: Label, dim: int) -> Label:
    """Prepend axes of length 1, as broadcasting does."""
    missing = dim - label.ids.dim()
    return replace(label, ids=label.ids[(None,) * missing]) if missing > 0 else label


def overlap(some: Label, other: Label) -> bool:
    """Say whether two labels of one tensor vary along a common axis."""
    return bool(set(some.axes) & set(other.axes))


def frozen(label: Label, axes: Iterable[int], atoms: Atoms, reason: Reason) -> Label | None:
    """Make a label stop varying along axes whose length cannot change.

    A unit that also varies along another axis goes as a whole: its positions along the frozen axes are tied. If none
    other is left, the atoms are protected.
    """
    chosen = [axis for axis in axes if axis < label.ids.dim() and label.ids.shape[axis] > 1]
    if not chosen:
        return label
    first = label.ids
    for axis in chosen:
        first = first.narrow(axis, 0, 1)
    if first.numel() == 1:
        atoms.protect(label.ids, reason)
        return None
    atoms.unite(label.ids, first, reason)
    return replace(label, ids=first)


def merged(
    labels: Iterable[Label], atoms: Atoms, reason: Reason, product: bool
) -> tuple[Label, ...]:
    """Unite labels that vary along a common axis, as an element-wise operator does.

    Args:
        labels: The labels of all operands, aligned.
        atoms: Where the ties are kept.
        reason: Why what meets no unit is protected.
        product: Whether one zero operand makes the result zero; if not, all have to be.
    """
    result: list[Label] = []
    for label in labels:
        if not label.axes:
            continue
        new, apart = label, []
        for other in result:
            if overlap(new, other):
                shared, whole = sorted((new, other), key=lambda each: len(each.axes))
                if set(shared.axes) < set(whole.axes) and whole.axes[0] not in shared.axes:
                    # One value for many units, as the positions of all heads: whole units go, and it stays.
                    atoms.protect(shared.ids, f"several units share them: {told(reason)}")
                    left = frozen(whole, shared.axes, atoms, reason)
                    assert left is not None
                    new = left
                    continue
                atoms.unite(new.ids, other.ids, reason)
                some, others = torch.broadcast_tensors(new.ids, other.ids)  # type: ignore[no-untyped-call]
                zero = (new.zero or other.zero) if product else (new.zero and other.zero)
                new = Label(torch.where(others == NONE, some, others), zero)
            else:
                apart.append(other)
        result = [*apart, new]
    return tuple(result)
