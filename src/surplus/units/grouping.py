"""Grouping: units that are made of the same axes form a group, named after the layer that computes them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from surplus.units.atoms import NEVER, NONE, Atoms, Axis
from surplus.units.flow import Flow
from surplus.units.group import Constraint, Group, Kind, Slot, Tap, every
from surplus.units.resolving import Resolved, signatures

UNUSED = "the run on the example never uses this layer"


class _Member(NamedTuple):
    """One axis of one tensor in a group: the positions of each unit, and when they were first computed and read."""

    axis: Axis
    positions: Int[Tensor, "units width"]
    computed: int
    read: int


class _Draft(NamedTuple):
    """A group that has no name yet."""

    members: list[_Member]
    roots: Int[Tensor, " units"]
    protected: str | None
    coupled: str | None
    met: str | None

    @property
    def begun(self) -> int:
        """At which operator the units are first computed."""
        return min((member.computed for member in self.members), default=NEVER)


def groups_of(flow: Flow, resolved: Resolved) -> dict[str, Group]:
    """Return all groups in the order in which their units are first computed."""
    drafts = [each for each in _drafts(flow.atoms, resolved) if _worth_naming(flow, each)]
    named = [
        (draft.begun, _group(flow, resolved, draft, tap))
        for draft, tap in zip(drafts, _taps(flow, resolved, drafts), strict=True)
    ]
    for name, order in flow.singles.items():
        slot = Slot(name, 0, every(1))
        reason = "there is only one of them"
        named.append(
            (
                order,
                Group(name=_layer(name), kind="neuron", size=1, incoming=(slot,), protected=reason),
            )
        )
    named.sort(key=lambda each: each[0])
    shared = Counter(group.name for _, group in named)
    groups: dict[str, Group] = {}
    for _, group in named:
        name = group.name
        if shared[name] > 1:
            name += _span(group.incoming[0])
        while name in groups:
            name += "'"
        groups[name] = group.renamed(name)
    return groups


def _drafts(atoms: Atoms, resolved: Resolved) -> list[_Draft]:
    roots = resolved.roots
    reason_of, reasons = atoms.reasons(roots)
    coupling_of, couplings = atoms.couplings(roots)
    meeting_of, meetings = atoms.meetings(roots)
    kind = signatures(atoms, roots) + 7919 * (reason_of + 1)
    order = torch.argsort(kind[roots], stable=True)
    _, counts = torch.unique_consecutive(kind[roots][order], return_counts=True)
    starts = torch.tensor([axis.start for axis in atoms.axes])
    orders = atoms.order("incoming"), atoms.order("outgoing")
    drafts = []
    for units, members in _alike(atoms, torch.split(order, counts.tolist()), roots, starts, orders):
        coupled, met = int(coupling_of[units].max()), int(meeting_of[units].max())
        reason = int(reason_of[units[0]])
        drafts.append(
            _Draft(
                members,
                units,
                reasons[reason] if reason != NONE else None,
                couplings[coupled] if coupled != NONE else None,
                meetings[met] if met != NONE else None,
            )
        )
    return drafts


def _alike(
    atoms: Atoms,
    candidates: Sequence[Tensor],
    roots: Tensor,
    starts: Tensor,
    orders: tuple[Tensor, Tensor],
) -> Iterator[tuple[Tensor, list[_Member]]]:
    """Yield the units and axes of each group; units whose signatures agree by chance alone stay apart, one by one."""
    for own in candidates:
        found = _members(atoms, own, roots, starts, orders)
        if found is not None:
            yield found
            continue
        for root in torch.unique(roots[own]):
            single = _members(atoms, own[roots[own] == root], roots, starts, orders)
            assert single is not None
            yield single


def _members(
    atoms: Atoms, own: Tensor, roots: Tensor, starts: Tensor, orders: tuple[Tensor, Tensor]
) -> tuple[Tensor, list[_Member]] | None:
    """Return the units of one group in the order of their first positions, and its axes.

    None if they are not alike: if one has more positions along an axis than another.
    """
    own = own.sort().values
    axis_of = torch.searchsorted(starts, own, right=True) - 1
    chosen, counts = torch.unique_consecutive(axis_of, return_counts=True)
    pieces = [
        (place, piece)
        for place, piece in zip(chosen.tolist(), torch.split(own, counts.tolist()), strict=True)
        if atoms.axes[place].tensor  # not an axis of a constant
    ]
    if not pieces:
        return torch.unique(roots[own]), []
    first = min(pieces, key=lambda piece: (int(orders[0][piece[1]].min()), piece[0]))[1]
    units = _distinct(roots[first])
    rank = torch.full((len(roots),), NONE)
    rank[units] = torch.arange(len(units))
    members = []
    for place, piece in pieces:
        axis = atoms.axes[place]
        ranks, order = torch.sort(rank[roots[piece]], stable=True)
        width = len(piece) // len(units)
        if not torch.equal(ranks, torch.arange(len(units)).repeat_interleave(width)):
            return None
        positions = (piece[order] - axis.start).view(len(units), width)
        computed, read = (int(each[piece].min()) for each in orders)
        members.append(_Member(axis, positions, computed, read))
    return units, members


def _distinct(values: Tensor) -> Tensor:
    """Return each value once, in the order of first occurrence."""
    return torch.tensor(list(dict.fromkeys(values.tolist())), dtype=torch.int64)


def _worth_naming(flow: Flow, draft: _Draft) -> bool:
    """Leave out axes that nothing computes and that could not go anyway, as the inputs that the first layer reads."""
    if draft.begun != NEVER:
        return True
    return draft.protected is None and any(
        member.axis.tensor in flow.parameters for member in draft.members
    )


def _group(flow: Flow, resolved: Resolved, draft: _Draft, tap: Tap | None) -> Group:
    members = sorted(
        draft.members, key=lambda member: (member.computed, member.read, member.axis.start)
    )
    slots = {id(m): Slot(m.axis.tensor, m.axis.axis, m.positions) for m in members}
    computing = _weights(flow, [m for m in members if m.computed != NEVER])
    reading = _weights(flow, [m for m in members if m.read != NEVER])
    incoming = tuple(slots[id(m)] for m in computing)
    outgoing = tuple(slots[id(m)] for m in sorted(reading, key=lambda m: m.read))
    at_work = {id(m) for m in (*computing, *reading)}
    carried = tuple(
        slots[id(m)] for m in sorted(members, key=lambda m: m.axis.start) if id(m) not in at_work
    )
    protected = draft.protected
    if not incoming:
        incoming, carried = (carried or outgoing)[:1], carried[1:]
        outgoing = tuple(slot for slot in outgoing if slot not in incoming)
        used = any(member.axis.tensor not in flow.unused.values() for member in members)
        protected = "no weights compute them" if used else UNUSED
    elif len(draft.roots) == 1 and protected is None:
        protected = "they can only go all at once"
    return Group(
        name=_layer(incoming[0].tensor),
        kind=_kind(flow, incoming[0], draft.roots, resolved),
        size=len(draft.roots),
        incoming=incoming,
        carried=carried,
        outgoing=outgoing,
        constraints=_constraints(draft, resolved),
        protected=protected,
        coupled=draft.coupled,
        met=draft.met,
        tap=tap,
        roots=draft.roots,
    )


def _weights(flow: Flow, members: list[_Member]) -> list[_Member]:
    """Leave out buffers beside parameters: a weight is computed with them, as with the vectors of a spectral norm."""
    found = [member for member in members if member.axis.tensor in flow.parameters]
    return found or members


def _constraints(draft: _Draft, resolved: Resolved) -> tuple[Constraint, ...]:
    """Return the rules on what may go together, each once."""
    rank = {root: place for place, root in enumerate(draft.roots.tolist())}
    found: dict[tuple[int, ...], Constraint] = {}
    for regularity in resolved.even:
        blocks = [_distinct(resolved.roots[block]).tolist() for block in regularity.blocks]
        if blocks[0][0] in rank:
            units = torch.tensor([[rank[root] for root in block] for block in blocks])
            found.setdefault(
                tuple(units.reshape(-1).tolist()), Constraint(units, regularity.reason)
            )
    return tuple(found.values())


def _kind(flow: Flow, slot: Slot, units: Tensor, resolved: Resolved) -> Kind:
    if flow.num_axes[slot.tensor] > 2:
        return "filter"
    heads = [resolved.roots[ids.reshape(-1)] for ids in flow.heads]
    if heads and bool(torch.isin(units[:1], torch.cat(heads)).any()):
        return "head"
    return "embedding feature" if slot.tensor in flow.embeddings and slot.axis > 0 else "neuron"


def _layer(tensor: str) -> str:
    """Return the name of the layer that a weight belongs to; a bare parameter is its own."""
    owner, parametrised, _ = tensor.partition(".parametrizations.")
    if parametrised:
        return owner
    tensor = tensor.removesuffix("_orig")
    path, _, leaf = tensor.rpartition(".")
    return path if path and leaf in ("weight", "weight_v") else tensor


def _span(slot: Slot) -> str:
    """Tell groups of one layer apart by their positions in its weight."""
    positions = slot.index.reshape(-1)
    return f"[{int(positions.min())}:{int(positions.max()) + 1}]"


def _taps(flow: Flow, resolved: Resolved, drafts: Sequence[_Draft]) -> list[Tap | None]:
    """Return where each group can be seen: after the last element-wise operator before its units are first read."""
    owner = torch.full((flow.atoms.size,), NONE)
    for place, draft in enumerate(drafts):
        owner[draft.roots] = place
    read = [min(member.read for member in draft.members) for draft in drafts]
    best: dict[int, tuple[bool, int, Tap]] = {}
    for view in flow.views:
        if bool((view.ids == NONE).any()):
            continue
        roots = resolved.roots[view.ids]
        place = int(owner[roots[0]])
        if place == NONE or view.order >= read[place]:
            continue
        rank = (view.elementwise, view.order)
        if place in best and rank <= best[place][:2]:
            continue
        index = _index(roots, drafts[place].roots)
        if index is not None:
            best[place] = (*rank, Tap(view.place, view.axis, index))
    return [best[place][2] if place in best else None for place in range(len(drafts))]


def _index(roots: Tensor, units: Tensor) -> Tensor | None:
    """Return the positions of each unit, if these are all there is and each has as many."""
    if len(roots) % len(units) or not bool(torch.isin(roots, units).all()):
        return None
    order = torch.argsort(roots, stable=True)
    found = roots[order].view(len(units), -1)
    expected = units.sort()
    if not torch.equal(found, expected.values[:, None].expand_as(found)):
        return None
    index = torch.empty_like(found)
    index[expected.indices] = order.view(len(units), -1)
    return index
