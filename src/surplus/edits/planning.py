"""`plan`: what a cut would do, group by group, before anything changes."""

from surplus.base import Cell, Table
from surplus.masks import Mask
from surplus.units import Group, Units


def plan(mask: Mask) -> Table:
    """Return one row per group of the mask's units: what is kept, what goes, and why the others stay.

    Args:
        mask: A mask over units that is bound to them.

    Raises:
        InvalidArgument: the mask is over weights or not bound, or empties a layer.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from surplus.units import find_units
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        >>> mask = Mask.full(find_units(net, torch.zeros(1, 4)))
        >>> mask.kept["0"][1] = False
        >>> print(plan(mask))
        layer  kind    units  kept  removed  note
        0      neuron      3     2        1
        2      neuron      2     2        0  stays: they are the outputs of the network
    """
    units = mask.checked_units()
    rows: list[dict[str, Cell]] = []
    for group in units:
        kept = int(mask.kept[group.name].sum()) if group.name in mask.kept else group.size
        rows.append(
            {
                "layer": group.name,
                "kind": group.kind,
                "units": group.size,
                "kept": kept,
                "removed": group.size - kept,
                "note": _note(group, units, group.size - kept),
            }
        )
    return Table.from_rows(rows)


def _note(group: Group, units: Units, removed: int) -> str:
    if group.protected is not None:
        return f"stays: {group.protected}"
    if removed and group.coupled is not None:
        return f"statistics over the units kept: {group.coupled}"
    if group.constraints:
        return f"as many of each of {len(group.constraints[0].blocks)} blocks: {group.constraints[0].reason}"
    return ""
