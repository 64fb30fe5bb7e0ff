"""Atoms: the positions along every axis of every tensor of a model, and which of them must go together."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, final

import torch
from jaxtyping import Int
from torch import Tensor

Role = Literal["incoming", "outgoing"]
NONE = -1
"""The id where an element belongs to no unit: the network's inputs, constants, padding."""

NEVER = torch.iinfo(torch.int64).max
"""The order of what does not happen."""
Reason = str | Callable[[], str]
"""Why atoms cannot be removed, or what says so when asked: to name a line costs a walk of the stack."""


class Axis(NamedTuple):
    """One axis of one tensor of the model; its positions are the atoms `start` to `start + size`."""

    tensor: str
    axis: int
    start: int
    size: int


class Regularity(NamedTuple):
    """Positions that the network takes apart: from each block, as many must be kept as from any other."""

    blocks: tuple[Int[Tensor, " _"], ...]
    reason: str


class Box(NamedTuple):
    """An axis that the network folds into several: what is kept must again fill a box."""

    ids: Int[Tensor, "..."]
    reason: str


@final
@dataclass(eq=False)
class Atoms:
    """What is learnt about the atoms while a network runs: ties, roles, and why some cannot be removed.

    A unit is a connected component: removing one of its atoms removes them all.
    """

    axes: list[Axis] = field(default_factory=list)
    size: int = 0
    regularities: list[Regularity] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    _edges: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    _protected: list[tuple[Tensor, str]] = field(default_factory=list)
    _coupled: list[tuple[Tensor, str]] = field(default_factory=list)
    _met: list[tuple[Tensor, str]] = field(default_factory=list)
    _roles: list[tuple[Tensor, Role, int]] = field(default_factory=list)

    def add(self, tensor: str, axis: int, size: int) -> Int[Tensor, " size"]:
        """Register an axis and return the ids of its positions."""
        self.axes.append(Axis(tensor, axis, self.size, size))
        self.size += size
        return torch.arange(self.size - size, self.size)

    def owner(self, atom: int) -> Axis:
        """Return the axis that an atom is a position of."""
        return self.axes[bisect_right(self.axes, atom, key=lambda axis: axis.start) - 1]

    def unite(self, some: Int[Tensor, "..."], others: Int[Tensor, "..."], reason: Reason) -> None:
        """Tie atoms pairwise, after broadcasting; what is paired with no unit is protected."""
        some, others = torch.broadcast_tensors(some, others)  # type: ignore[no-untyped-call]
        some, others = some.reshape(-1), others.reshape(-1)
        both = (some != NONE) & (others != NONE)
        if bool(both.all()):
            self._edges.append((some, others))
            return
        self._edges.append((some[both], others[both]))
        self.protect(torch.maximum(some, others)[~both], reason)

    def protect(self, ids: Int[Tensor, "..."], reason: Reason) -> None:
        """Say why some atoms cannot be removed."""
        self._protected.append((_real(ids), told(reason)))

    def couple(self, ids: Int[Tensor, "..."], reason: str) -> None:
        """Say that atoms take part in the statistics of a normalisation."""
        self._coupled.append((_real(ids), reason))

    def meet(self, ids: Int[Tensor, "..."], reason: str) -> None:
        """Say that atoms are added up without weights: those of removed units as zeros, which changes nothing."""
        self._met.append((_real(ids), reason))

    def even(self, blocks: tuple[Int[Tensor, " _"], ...], reason: str) -> None:
        """Say that as many positions must be kept of each block."""
        self.regularities.append(Regularity(blocks, reason))

    def mark(self, ids: Int[Tensor, "..."], role: Role, order: int) -> None:
        """Say what atoms of a weight do: they compute units, or read them; `order` counts operators."""
        self._roles.append((_real(ids), role, order))

    def components(self) -> Int[Tensor, " atoms"]:
        """Return for each atom the smallest atom that it is tied to, directly or over others."""
        roots = torch.arange(self.size)
        if not self._edges:
            return roots
        some = torch.cat([each for each, _ in self._edges])
        others = torch.cat([each for _, each in self._edges])
        while True:
            left, right = roots[some], roots[others]
            open_ = left != right
            if not bool(open_.any()):
                return roots
            some, others, left, right = some[open_], others[open_], left[open_], right[open_]
            low, high = torch.minimum(left, right), torch.maximum(left, right)
            roots = roots.scatter_reduce(0, high, low, "amin")
            while not torch.equal(jumped := roots[roots], roots):
                roots = jumped

    def reasons(self, roots: Int[Tensor, " atoms"]) -> tuple[Tensor, list[str]]:
        """Return for each component the number of the first reason that protects it (-1: none), and the reasons."""
        return _first(self._protected, roots, self.size)

    def couplings(self, roots: Int[Tensor, " atoms"]) -> tuple[Tensor, list[str]]:
        """Return for each component the number of the first normalisation it takes part in, and these."""
        return _first(self._coupled, roots, self.size)

    def meetings(self, roots: Int[Tensor, " atoms"]) -> tuple[Tensor, list[str]]:
        """Return for each component the number of the first sum without weights it takes part in, and these."""
        return _first(self._met, roots, self.size)

    def order(self, role: Role) -> Int[Tensor, " atoms"]:
        """Return for each atom at which operator it first took a role, or `NEVER`."""
        orders = torch.full((self.size,), NEVER)
        for ids, each, order in reversed(self._roles):
            if each == role:
                orders[ids] = order
        return orders


def told(reason: Reason) -> str:
    """Return a reason in words."""
    return reason if isinstance(reason, str) else reason()


def rooted(ids: Int[Tensor, "..."], roots: Int[Tensor, " atoms"]) -> Int[Tensor, "..."]:
    """Return which component each id belongs to; `NONE` stays `NONE`."""
    return torch.where(ids == NONE, NONE, roots[ids])


def _real(ids: Int[Tensor, "..."]) -> Int[Tensor, " ids"]:
    flat = ids.reshape(-1)
    return flat[flat != NONE]


def _first(
    entries: list[tuple[Tensor, str]], roots: Int[Tensor, " atoms"], size: int
) -> tuple[Tensor, list[str]]:
    reasons = list(dict.fromkeys(reason for _, reason in entries))
    number = {reason: place for place, reason in enumerate(reasons)}
    first = torch.full((size,), NONE)
    for ids, reason in reversed(entries):
        first[roots[ids]] = number[reason]
    return first, reasons
