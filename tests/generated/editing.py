"""What must hold of every network that is enlarged, split, merged back, or trained on after a cut."""

import copy
import math
from collections import Counter
from random import Random
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from generated.comparing import REFUSALS, general, outputs, same
from surplus.base import InvalidArgument
from surplus.edits import (
    Edits,
    NewUnits,
    cut,
    cut_,
    grow,
    merge,
    mergeable,
    replay_,
    split,
)
from surplus.edits.intervals import unpack
from surplus.edits.refusing import computed_and_read
from surplus.masks import Mask, Scores, enforce_, keep
from surplus.units import Group, Units, copied, find_units, tensors_of

OPTIMIZERS = {
    "momentum": lambda p: torch.optim.SGD(p, 0.02, momentum=0.9, weight_decay=1e-3),
    "fused momentum": lambda p: torch.optim.SGD(p, 0.02, momentum=0.9, fused=True),
    "adam": lambda p: torch.optim.Adam(p, 0.003, eps=1e-4),
    "foreach adam": lambda p: torch.optim.Adam(p, 0.003, eps=1e-4, foreach=True),
    "fused adamw": lambda p: torch.optim.AdamW(p, 0.003, eps=1e-4, fused=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.002, eps=1e-4, momentum=0.5),
}
DONE: Counter[str] = Counter()
"""How often each property was checked by this process."""


def growable(units: Units) -> list[Group]:
    """Return the groups that can grow without changing the function."""
    return [
        group
        for group in units.removable()
        if group.coupled is None and group.outgoing and not computed_and_read(group)
    ]


def checked_growth(model: nn.Module, example: Any, units: Units, random: Random) -> None:
    """Add units to some groups: the function stays, and without them the model is what it was."""
    groups = [group for group in growable(units) if random.random() < 0.5][:3]
    if not groups:
        return
    new = {group.name: drawn_units(units, group, random) for group in groups}
    try:
        larger, edits = grow(model, units, new)
    except InvalidArgument as refused:
        refusal("not grown", refused)
        return
    same(outputs(larger, example), outputs(model, example))
    again = copied(model)
    replay_(again, Edits.from_json(edits.to_json()))
    again.load_state_dict(larger.state_dict())
    same(outputs(again, example), outputs(larger, example), exactly=True)
    found = find_units(larger, example)
    names = [group.name for group in units]
    kept = {}
    for each in edits.steps[0].units:
        stays = torch.zeros(each.size, dtype=torch.bool)
        stays[unpack(each.kept)] = True
        kept[list(found)[names.index(each.layer)].name] = stays
    back, _ = cut(larger, Mask(kept, "units", found))
    for name, tensor in tensors_of(back).items():
        assert torch.equal(tensor, tensors_of(model)[name])
    DONE["grown and cut back"] += 1


def drawn_units(units: Units, group: Group, random: Random) -> NewUnits:
    """Draw weights into or out of new units."""
    count = math.lcm(random.choice([1, 2, 3]), *(len(each.blocks) for each in group.constraints))
    generator = torch.Generator().manual_seed(random.randrange(1000))
    width = units.weight_vectors(group.name).shape[1]
    rows = torch.randn(count, width, generator=generator, dtype=torch.float64)
    if group.met is not None:
        width = units.outgoing(group.name).shape[1]
        return NewUnits(outgoing=torch.randn(count, width, generator=generator))
    return NewUnits(incoming=rows)


def checked_split(model: nn.Module, example: Any, units: Units, random: Random) -> None:
    """Copy some units and merge the copies again: the function stays, and so do the weights in the end."""
    groups = [group for group in growable(units) if group.met is None]
    if not groups:
        return
    group = random.choice(groups)
    chosen = [random.randrange(group.size)]
    if group.constraints:
        chosen = max((c.blocks for c in group.constraints), key=len)[:, 0].tolist()
    try:
        larger, _ = split(model, units, {group.name: chosen}, noise=random.choice([0.0, 0.5]))
        same(outputs(larger, example), outputs(model, example))
        larger, _ = split(model, units, {group.name: chosen})
    except InvalidArgument as refused:
        refusal("not split", refused)
        return
    DONE["split"] += 1
    found = find_units(larger, example)
    name = list(found)[[each.name for each in units].index(group.name)].name
    mask = mergeable(found)
    if mask.kept[name].all():
        REFUSALS["not merged: copies in different blocks"] += 1
        assert group.constraints
        return
    try:
        smaller, _ = merge(larger, Mask({name: mask.kept[name]}, "units", found))
    except InvalidArgument as refused:
        refusal("not merged", refused)
        return
    same(outputs(smaller, example), outputs(model, example))
    DONE["merged back"] += 1


def checked_training(model: nn.Module, example: Any, units: Units, random: Random) -> None:
    """Train eight steps, masked and cut: the same losses and outputs."""
    groups = [group for group in units.removable() if group.coupled is None]
    groups = [group for group in groups if random.random() < 0.7] or groups[:1]
    if not groups:
        return
    values = {g.name: torch.tensor([random.random() for _ in range(g.size)]) for g in groups}
    mask = keep(Scores(values, "units", units), random.choice([0.3, 0.6]))
    model = copied(model)
    for module in model.modules():  # what draws or averages would do so for other shapes
        module.training = isinstance(module, nn.modules.batchnorm._BatchNorm)
    generator = torch.Generator().manual_seed(0)
    targets = [
        torch.randn(each.shape, generator=generator, dtype=torch.float64)
        for each in outputs(model, example)
    ]
    enforce_(model, mask)
    if not frozen_(model, example, targets, mask):
        return
    optimizer = OPTIMIZERS[random.choice(list(OPTIMIZERS))](
        [p for p in model.parameters() if p.requires_grad]
    )
    steps(model, optimizer, example, targets, 2, mask)
    optimizer.zero_grad()
    twin, twins = copy.deepcopy((model, optimizer))
    try:
        cut_(model, mask, optimizer, verify=False)
    except InvalidArgument as refused:
        refusal("not cut", refused)
        return
    expected = steps(twin, twins, example, targets, 8, mask)
    found = steps(model, optimizer, example, targets, 8)
    if not all(math.isfinite(each) and each < 1e6 for each in expected):
        return
    for one, other in zip(found, expected, strict=True):
        assert abs(one - other) <= 1e-9 * max(1.0, abs(other)), (found, expected)
    same(outputs(model, example), outputs(twin, example))
    DONE["trained on"] += 1


def loss_of(model: nn.Module, example: Any, targets: Any) -> torch.Tensor:
    """Return the mean squared difference from some targets, over all outputs."""
    made = [each for each in tree_leaves(model(example)) if isinstance(each, torch.Tensor)]
    pairs = zip(made, targets, strict=True)
    return sum((one.double() - other.double()).square().mean() for one, other in pairs)


def frozen_(model: nn.Module, example: Any, targets: Any, mask: Mask) -> bool:
    """In place: freeze parameters whose gradient is nothing but rounding, as that of a bias before a batch norm.

    An optimiser that divides by the size of a gradient would blow the rounding up.
    """
    try:
        loss = loss_of(model, example, targets)
    except ValueError as single:  # a batch norm has no variance of one value
        assert "more than 1 value per channel" in str(single)
        return False
    if not loss.requires_grad or not loss.isfinite():
        return False
    loss.backward()
    sizes = {
        name: 0.0 if p.grad is None else float(p.grad.abs().max())
        for name, p in model.named_parameters()
    }
    largest = max(sizes.values())
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(sizes[name] > 1e-9 * largest)
    model.zero_grad()
    return largest > 0


def steps(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    example: Any,
    targets: Any,
    count: int,
    mask: Mask | None = None,
) -> list[float]:
    """Train some steps, under a mask if there is one, and return the losses."""
    losses = []
    for _ in range(count):
        optimizer.zero_grad()
        loss = loss_of(model, example, targets)
        loss.backward()
        optimizer.step()
        if mask is not None:
            enforce_(model, mask)
        losses.append(float(loss.detach()))
    return losses


def refusal(what: str, error: InvalidArgument) -> None:
    """Count a refusal by its reason, which it has to have."""
    assert len(str(error)) > 20
    REFUSALS[f"{what}: {general(str(error))}"] += 1
