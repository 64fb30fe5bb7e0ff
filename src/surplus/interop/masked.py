"""Masked models: what is worth telling before one is exported as if it were smaller."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.interop.torch_prune import prune_masks
from surplus.units import Group, find_units

ANYWAY = "To export it as it is, pass `allow_masked=True` (`--allow-masked`)."


def check_not_masked(model: nn.Module, example: Any) -> None:
    """Refuse a model whose removed units are still there.

    Raises:
        InvalidArgument: it carries masks of `torch.nn.utils.prune`, or all weights of some units are zero.
    """
    masks = prune_masks(model)
    if masks:
        share = 1 - sum(int(each.sum()) for each in masks.values()) / sum(
            each.numel() for each in masks.values()
        )
        raise InvalidArgument(
            f"The model is masked: it carries masks of torch.nn.utils.prune on {_listed(list(masks))}, and their zeros"
            f" ({100 * share:.0f} % of these weights) are stored and multiplied like any other number. Take the masks"
            " over, and cut what they remove whole: `plain, mask = sp.interop.import_prune(model)`, then"
            " `sp.cut(plain, sp.interop.over_units(mask, sp.find_units(plain, example)))`."
            f" {ANYWAY}"
        )
    silent = _silent_units(model, example)
    if silent:
        counts = [f"{num} of the {size} units of `{name}`" for name, (num, size) in silent.items()]
        raise InvalidArgument(
            f"The model is masked and not cut: all weights of {_joined(counts)} are zero, and zeros are stored and"
            " multiplied like any other number. Cut these units first, `smaller, edits = surplus.cut(model, mask)`, and"
            f" export what is smaller. {ANYWAY}"
        )


def _silent_units(model: nn.Module, example: Any) -> dict[str, tuple[int, int]]:
    """Return how many units of which layers, of how many, are zero in every parameter that they sit in."""
    if not any(_has_empty_slice(each) for each in model.parameters()):
        return {}
    units = find_units(model, example)
    parameters = dict(model.named_parameters(remove_duplicate=False))
    counts = {group.name: _num_silent(group, parameters) for group in units.removable()}
    return {name: (num, units[name].size) for name, num in counts.items() if num}


def _num_silent(group: Group, parameters: Mapping[str, Tensor]) -> int:
    silent = torch.ones(group.size, dtype=torch.bool)
    for slot in group.slots:
        if slot.tensor in parameters:
            silent &= ~slot.vectors(parameters[slot.tensor].detach()).any(1).cpu()
    return int(silent.sum())


def _has_empty_slice(tensor: Tensor) -> bool:
    """Say whether a weight is zero all along some position of some axis, without which no unit is."""
    if tensor.dim() < 2 or tensor.layout != torch.strided:
        return False
    used = tensor.detach() != 0
    return any(
        not bool(used.movedim(axis, 0).flatten(1).any(1).all()) for axis in range(tensor.dim())
    )


def _listed(names: list[str]) -> str:
    return _joined([f"`{name}`" for name in names])


def _joined(parts: list[str]) -> str:
    """Join the first few parts of a list, and say how many more there are."""
    if len(parts) > 4:
        return f"{', '.join(parts[:3])} and {len(parts) - 3} more"
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
