"""`find_units`: run a model once, and return its units with everything that must go with each."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from surplus.units.atoms import rooted
from surplus.units.counting import tie_what_is_counted
from surplus.units.flow import Size, Statistic
from surplus.units.grouping import groups_of
from surplus.units.ignoring import protect_ignored
from surplus.units.probing import protect_what_does_not_follow
from surplus.units.resolving import resolve
from surplus.units.tracing import trace
from surplus.units.units import Units


def find_units(model: nn.Module, example: Any, ignore: str | Sequence[str] = ()) -> Units:
    """Find the units of a model, with everything that must go with each.

    The model is run once on the example, in evaluation mode, and every operator that really runs is followed; nothing
    in the model is changed. What cannot be removed is a protected group with its reason.

    Args:
        model: Any module.
        example: What it is called with: a tensor, a tuple of arguments, or a dictionary of keyword arguments.
        ignore: Names of layers whose units stay, or patterns of such names: `"head"`, `"layers.0.*"`. What is tied to
            their units stays with them, as a whole residual stream does that one of them adds to.

    Raises:
        InvalidArgument: the model does not run on the example.
        UnknownName: a name to ignore matches no layer.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> print(find_units(net, torch.zeros(1, 4)))
        layer  kind    units  incoming  outgoing  removable
        0      neuron      3  0.weight  2.weight  yes
        2      neuron      2  2.weight            no: they are the outputs of the network
    """
    flow = trace(model, example)
    resolved = resolve(flow.atoms)
    if tie_what_is_counted(flow.atoms, flow.sizes, resolved.roots):
        resolved = resolve(flow.atoms)
    statistics = tuple(
        Statistic(each.place, rooted(each.ids, resolved.roots)) for each in flow.statistics
    )
    sizes = tuple(
        Size(each.integer, rooted(each.ids, resolved.roots), each.axis) for each in flow.sizes
    )
    groups = protect_what_does_not_follow(
        groups_of(flow, resolved), flow.lengths, sizes, resolved.roots
    )
    groups = protect_ignored(groups, model, (ignore,) if isinstance(ignore, str) else ignore)
    numbers = tuple(each._replace(ids=rooted(each.ids, resolved.roots)) for each in flow.numbers)
    return Units(model, example, groups, statistics, sizes, numbers)
