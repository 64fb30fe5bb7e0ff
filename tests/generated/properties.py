"""What must hold of every network: a cut equals the masked network, replays, reloads, and leaves the original alone."""

import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from generated import maps, sequences
from generated.comparing import REFUSALS, general, outputs, same
from generated.editing import checked_growth, checked_split, checked_training
from generated.network import build
from generated.program import Program
from surplus.base import InvalidArgument
from surplus.edits import Edits, cut, load, masked, replay_, save
from surplus.masks import Mask, Scores, keep
from surplus.units import Units, copied, find_units, tensors_of

REFEREED: Counter[str] = Counter()


def snapshot(model: nn.Module) -> Any:
    """Return everything about a model that a cut must not change, in a form that can be compared."""
    tensors = {name: (id(each), each.clone()) for name, each in tensors_of(model).items()}
    modules = {
        name: (
            module.training,
            {k: (type(v), v) for k, v in vars(module).items() if isinstance(v, int | tuple)},
            len(module._forward_hooks) + len(module._forward_pre_hooks),
        )
        for name, module in model.named_modules()
    }
    return tensors, modules, torch.get_rng_state()


def unchanged(before: Any, after: Any) -> None:
    """Compare two snapshots."""
    assert before[0].keys() == after[0].keys()
    for name, (identity, values) in before[0].items():
        assert after[0][name][0] == identity
        assert torch.equal(after[0][name][1], values)
    assert before[1] == after[1]
    assert torch.equal(before[2], after[2])


def drawn_mask(units: Units, random: Random) -> Mask | None:
    """Keep some share of the units of some groups."""
    groups = [each for each in units.removable() if random.random() < 0.7]
    if not groups:
        groups = units.removable()[:1]
    if not groups:
        return None
    mask = None
    for group in groups:
        values = torch.tensor([random.random() for _ in range(group.size)])
        sparsity = random.choice([0.2, 0.5, 0.5, 0.8, 0.95])
        more = keep(Scores({group.name: values}, "units", units), sparsity)
        mask = more if mask is None else mask & more
    return mask


def check(program: Program) -> None:
    """Build a network and check everything about it."""
    random = Random(repr(program))
    model, example = build(program)
    original = outputs(model, example)
    if not all(each.isfinite().all() for each in original):
        return
    for module in model.modules():
        module.training = random.random() < 0.5
    before = snapshot(model)
    units = find_units(model, example)
    unchanged(before, snapshot(model))
    for group in units:
        if group.protected is not None:
            assert len(group.protected) > 10
            REFUSALS[general(group.protected)] += 1
    referee(model, example, units, random)
    first = checked_cut(model, example, units, random)
    unchanged(before, snapshot(model))
    if first is not None:
        smaller, edits = first
        after = find_units(smaller, example)
        second = checked_cut(smaller, example, after, random)
        if second is not None:
            again = copied(model)
            replay_(again, edits + second[1])
            same(outputs(again, example), outputs(second[0], example), exactly=True)
    unchanged(before, snapshot(model))
    checked_growth(model, example, units, random)
    checked_split(model, example, units, random)
    checked_training(model, example, units, random)
    unchanged(before, snapshot(model))


def checked_cut(
    model: nn.Module, example: Any, units: Units, random: Random
) -> tuple[nn.Module, Edits] | None:
    """Cut with a random mask, and compare with the masked model, the replay, and what was saved."""
    mask = drawn_mask(units, random)
    if mask is None:
        return None
    try:
        smaller, edits = cut(model, mask)
    except InvalidArgument as refused:
        assert len(str(refused)) > 20
        REFUSALS["refused: " + general(str(refused))] += 1
        return None
    found = outputs(smaller, example)
    same(outputs(masked(model, mask), example), found)
    for module, other in zip(model.modules(), smaller.modules(), strict=True):
        assert module.training == other.training
    again = copied(model)
    replay_(again, Edits.from_json(edits.to_json()))
    same(outputs(again, example), found, exactly=True)
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / "cut", smaller, edits)
        same(outputs(load(Path(folder) / "cut", into=model), example), found, exactly=True)
    return smaller, edits


def referee(model: nn.Module, example: Any, units: Units, random: Random) -> None:
    """Find out by perturbing what a unit moves, without anything that the tracer knows about operators.

    With a unit's outgoing weights at zero, whatever its incoming weights and what it carries along are, the outputs
    stay the same, and in the inputs of the layers that read it, only its own positions move. Units that share
    statistics move one another, so these are left out, and networks in which units are summed without weights.
    """
    groups = [g for g in units.removable() if g.coupled is None and g.outgoing]
    if not groups or any(meets_itself(module) for module in model.modules()):
        return
    group = random.choice(groups)
    unit = random.randrange(group.size)
    deaf = copied(model)
    moved = copied(model)
    with torch.no_grad():
        tensors = tensors_of(moved)
        for slot in (*group.incoming, *group.carried):
            tensor = tensors[slot.tensor]
            if tensor.is_floating_point():
                rows = tensor.index_select(slot.axis, slot.index[unit])
                tensor.index_copy_(slot.axis, slot.index[unit], rows * 1.5 + 0.3)
        for each in (deaf, moved):
            for slot in group.outgoing:
                tensors_of(each)[slot.tensor].index_fill_(slot.axis, slot.index[unit], 0.0)
    readers = {
        slot.tensor.removesuffix(".weight"): slot for slot in group.outgoing if reads(model, slot)
    }
    ((first, seen), (second, others)) = (watched(each, example, readers) for each in (deaf, moved))
    same(first, second)
    REFEREED["outputs"] += 1
    for name, slot in readers.items():
        for one, other in zip(seen[name], others[name], strict=True):
            apart = (one - other).abs() > 1e-9 * max(1.0, float(one.abs().max()))
            channels = 1 if one.dim() > 2 and model.get_submodule(name).weight.dim() > 2 else -1
            positions = apart.movedim(channels, 0).flatten(1).any(1).nonzero()[:, 0].tolist()
            assert set(positions) <= set(slot.index[unit].tolist())
            REFEREED["inputs"] += bool(positions)


def meets_itself(module: nn.Module) -> bool:
    """Say whether units are summed without weights, so that each moves all: norms, and attention with one head."""
    if isinstance(module, maps.SpatialGate):
        return module.form == 3
    if isinstance(module, maps.Attention | sequences.Attention):
        return module.heads == 1
    if isinstance(module, sequences.Activation):
        return module.block.form == 1
    return isinstance(module, maps.Output | sequences.Output) and module.head is None


def reads(model: nn.Module, slot: Any) -> bool:
    """Say whether a slot is where a plain layer reads its input."""
    name = slot.tensor.removesuffix(".weight")
    module = dict(model.named_modules()).get(name)
    ungrouped = isinstance(module, nn.Conv1d | nn.Conv2d) and module.groups == 1
    return (isinstance(module, nn.Linear) or ungrouped) and slot.axis == 1


def watched(
    model: nn.Module, example: Any, readers: Any
) -> tuple[list[Tensor], dict[str, list[Tensor]]]:
    """Return the outputs of a model, and the inputs of some of its layers, for each time that they run."""
    seen: dict[str, list[Tensor]] = {name: [] for name in readers}
    for name in readers:
        model.get_submodule(name).register_forward_pre_hook(
            lambda module, inputs, name=name: seen[name].append(inputs[0].clone())
        )
    return outputs(model, example), seen
