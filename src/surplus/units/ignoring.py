"""Ignoring: layers that are left alone because their names were given."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from torch import nn

from surplus.base import unknown_name
from surplus.units.group import Group
from surplus.units.units import tensors_of

IGNORED = "ignored by name"


def protect_ignored(
    groups: Mapping[str, Group], model: nn.Module, patterns: Sequence[str]
) -> dict[str, Group]:
    """Protect the units that layers of some names compute or carry, with all that is tied to them.

    What such a layer merely reads is not protected: it belongs to the layers that compute it.

    Args:
        groups: All groups of a model.
        model: The model.
        patterns: Names of layers, tensors or groups, or patterns of such names; what holds a layer stands for it, too.

    Raises:
        UnknownName: a pattern matches nothing.
    """
    names = _all_names(model)
    known = list(names)
    for pattern in patterns:
        if not _any_matches((*groups, *_within(known)), pattern):
            layers = {name.rpartition(".")[0] or name for name in known}
            raise unknown_name("layer", pattern, layers | set(groups))
    result = dict(groups)
    for group in groups.values():
        tensors = (slot.tensor for slot in group.incoming + group.carried)
        candidates = [group.name, *_within(name for each in tensors for name in names[each])]
        ignored = any(_any_matches(candidates, pattern) for pattern in patterns)
        if ignored and group.protected is None:
            result[group.name] = replace(group, protected=IGNORED)
    return result


def _all_names(model: nn.Module) -> dict[str, list[str]]:
    """Return all names of each tensor of a model, by each of them."""
    same: dict[int, list[str]] = {}
    for name, tensor in tensors_of(model).items():
        same.setdefault(id(tensor), []).append(name)
    return {name: names for names in same.values() for name in names}


def _within(names: Iterable[str]) -> Iterator[str]:
    """Yield the names of tensors, of their layers, and of all that holds these."""
    for name in names:
        parts = name.split(".")
        yield from (".".join(parts[: length + 1]) for length in range(len(parts)))


def _any_matches(names: Iterable[str], pattern: str) -> bool:
    return any(name == pattern or fnmatchcase(name, pattern) for name in names)
