"""`split`: a model with copies of some units, which share the work of the one that they were."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.edits import Edits
from surplus.edits.enlarging import Enlarged, enlarged
from surplus.edits.intervals import unpack
from surplus.edits.refusing import check_not_computed, check_uncoupled, computed_and_read
from surplus.edits.resize import check, layout_of, resized_copy
from surplus.edits.verifying import NotEqual, difference
from surplus.units import Group, Units, tensors_of


def split(
    model: nn.Module,
    units: Units,
    which: Mapping[str, Sequence[int]],
    noise: float = 0.0,
    seed: int = 0,
    verify: bool = True,
) -> tuple[nn.Module, Edits]:
    """Return a larger model with copies of some units, which computes what this one does, and the record of the edit.

    A copy has the incoming weights of its unit; the outgoing weights are shared out equally between a unit and its
    copies. Equal copies stay equal for ever in training, so noise breaks the tie: it is added to the outgoing weights
    and adds up to nothing over the copies, so that the function stays the same with it, too.

    Args:
        model: The model on which the units were found, or one of the same shape.
        units: Its units.
        which: By layer, the units to copy; one that is named twice is copied twice.
        noise: How large the noise is, relative to the root mean square of a unit's outgoing weights.
        seed: The seed of the noise.
        verify: Compare the outputs with those of the model before.

    Raises:
        InvalidArgument: there is no such unit, or noise; or units of a layer cannot be copied one by one, or share
            statistics.
        NotEqual: the outputs differ by more than rounding, as where nothing with weights reads the units.

    Reference: chen2016net2net, Section 2.3.
    The noise is on the outgoing weights instead of the incoming, and leaves the function alone.

    Example:
        >>> from surplus.units import find_units
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> larger, edits = split(net, find_units(net, torch.zeros(1, 4)), {"0": [2]})
        >>> bool((larger[0].weight[3] == net[0].weight[2]).all())
        True
        >>> torch.equal(larger[2].weight[:, 2:].sum(1), net[2].weight[:, 2])
        True
    """
    units.check(model)
    _check_noise(noise)
    for name in which:
        _check_read_alone(units[name])
    sources = {name: _checked(units.chosen(name), chosen) for name, chosen in which.items()}
    plan = enlarged(model, units, sources, "split")
    check(model, plan.step)
    values = _copies(model, units, sources, plan)
    _share_(values, units, sources, plan, noise, seed)
    larger = resized_copy(model, plan.step, values)
    step = plan.step
    if verify:
        check_uncoupled(units, sources)
        try:
            apart = difference(model, larger, model, units.example, ("original", "split"))
        except NotEqual as changed:
            check_not_computed(units, sources, changed)
            raise
        step = replace(step, difference=apart)
    return larger, Edits((step,))


def _check_noise(noise: float) -> None:
    if not 0 <= noise < math.inf:
        raise InvalidArgument(
            f"`noise` is {noise}; it is relative to a unit's outgoing weights, finite and not negative."
        )


def _checked(group: Group, chosen: Sequence[int]) -> Int[Tensor, " new"]:
    given = torch.as_tensor(chosen).reshape(-1)
    if len(given) and (given.is_floating_point() or given.dtype == torch.bool):
        raise InvalidArgument(
            f"The units of `{group.name}` to copy are given as {given.dtype}; give their numbers, as integers. For"
            " those where a mask is True, pass `mask.nonzero()`."
        )
    given = given.long()
    wrong = given[(given < 0) | (given >= group.size)]
    if not len(given) or len(wrong):
        what = f"{int(wrong[0])} is none of them" if len(wrong) else "none is named"
        raise InvalidArgument(
            f"The units of `{group.name}` to copy are numbered from 0 to {group.size - 1}; {what}."
        )
    for constraint in group.constraints:
        of_each = torch.stack([torch.isin(given, block).sum() for block in constraint.blocks])
        if len(torch.unique(of_each)) > 1:
            raise InvalidArgument(
                f"As many units of `{group.name}` must be copied of each of {len(constraint.blocks)} blocks, since"
                f" {constraint.reason}."
            )
    return given


def _copies(
    model: nn.Module, units: Units, sources: Mapping[str, Tensor], plan: Enlarged
) -> dict[str, Tensor]:
    """Return the tensors at their larger size, with everything about a new unit as it is for its source."""
    values: dict[str, Tensor] = {}
    tensors = tensors_of(model)
    for name in plan.step.tensors:
        values[name] = tensors[name].detach()
    for each in plan.step.slices:
        origin = torch.zeros(each.size, dtype=torch.int64)
        kept = torch.tensor(unpack(each.kept), dtype=torch.int64)
        origin[kept] = torch.arange(len(kept))
        for name, chosen in sources.items():
            larger, places = plan.new[name]
            for old, new in zip(units[name].slots, larger.slots, strict=True):
                if (old.tensor, old.axis) == (each.tensor, each.axis):
                    origin[new.index[places]] = old.index[chosen]
        value = values[each.tensor]
        values[each.tensor] = value.index_select(each.axis, origin.to(value.device))
    return {
        name: each.contiguous(memory_format=layout_of(tensors[name]))
        for name, each in values.items()
    }


def _share_(
    values: dict[str, Tensor],
    units: Units,
    sources: Mapping[str, Tensor],
    plan: Enlarged,
    noise: float,
    seed: int,
) -> None:
    """In place: share the outgoing weights of each unit out between it and its copies."""
    generator = torch.Generator().manual_seed(seed)
    for name, chosen in sources.items():
        group = units[name]
        larger, places = plan.new[name]
        family = torch.full((larger.size,), -1)
        family[places] = chosen
        old = torch.ones(larger.size, dtype=torch.bool)
        old[places] = False
        family[old] = torch.arange(group.size)
        for slot in larger.outgoing:
            value = values[slot.tensor]
            vectors = slot.vectors(value)
            size = torch.bincount(family)[family][:, None].to(value)
            shared = vectors / size
            if noise:
                shared = shared + _noise(vectors, family, noise, generator)
            index = slot.index.reshape(-1).to(value.device)
            value.index_copy_(slot.axis, index, slot.slab(shared, value.shape))


def _noise(
    vectors: Tensor, family: Int[Tensor, " units"], scale: float, generator: torch.Generator
) -> Tensor:
    """Return noise that adds up to nothing over each unit and its copies, and is nothing for units without copies."""
    noise = torch.randn(vectors.shape, generator=generator, dtype=torch.float64).to(vectors)
    size = torch.bincount(family).to(vectors)[:, None]
    mean = torch.zeros(len(size), vectors.shape[1]).to(vectors).index_add_(0, family, noise) / size
    return scale * vectors.square().mean(1, keepdim=True).sqrt() * (noise - mean[family])


def _check_read_alone(group: Group) -> None:
    """Refuse units that are not read over weights of their own alone, which copies could share."""
    if group.met is not None:
        raise InvalidArgument(
            f"The units of `{group.name}` are added up without weights by {group.met}, so that copies would count"
            " twice."
        )
    weight = computed_and_read(group)
    if weight is not None:
        raise InvalidArgument(
            f"The units of `{group.name}` are computed and read by the same weight, `{weight}`, so their copies cannot"
            " share the outgoing ones alone."
        )
