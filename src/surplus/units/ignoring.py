"""Ignoring: layers that are left alone because their names were given."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from surplus.base import unknown_name
from surplus.units.group import Group

IGNORED = "ignored by name"


def protect_ignored(
    groups: Mapping[str, Group], names: Mapping[str, tuple[str, ...]], patterns: Sequence[str]
) -> dict[str, Group]:
    """Protect the units that layers of some names compute or carry, with all that is tied to them.

    What such a layer merely reads is not protected: it belongs to the layers that compute it.

    Args:
        groups: All groups of a model.
        names: All names of each of its tensors, by the first.
        patterns: Names of layers, tensors or groups, or patterns of such names; what holds a layer stands for it, too.

    Raises:
        UnknownName: a pattern matches nothing.
    """
    known = [name for each in names.values() for name in each]
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


def _within(names: Iterable[str]) -> Iterator[str]:
    """Yield the names of tensors, of their layers, and of all that holds these."""
    for name in names:
        parts = name.split(".")
        yield from (".".join(parts[: length + 1]) for length in range(len(parts)))


def _any_matches(names: Iterable[str], pattern: str) -> bool:
    return any(name == pattern or fnmatchcase(name, pattern) for name in names)
