"""The classifier: the last linear layer of a network, one output per class."""

import torch
from torch import nn

from surplus.measures.untreated import Untreated
from surplus.units import Group, Units


def classifier_of(model: nn.Module, units: Units) -> tuple[str, nn.Linear]:
    """Return the `nn.Linear` whose outputs are the network's, and its name.

    Raises:
        Untreated: the network ends in something else.
    """
    ends = [group for group in units if group.incoming and not group.outgoing and group.tap]
    if len(ends) != 1:
        raise Untreated(f"{len(ends)} layers compute its outputs, not one `nn.Linear`")
    (group,) = ends
    module = dict(model.named_modules()).get(group.name)
    if not isinstance(module, nn.Linear) or not _whole(group, module):
        raise Untreated(
            f"its outputs are computed by `{group.name}`, which is no `nn.Linear` alone"
        )
    return group.name, module


def _whole(group: Group, module: nn.Linear) -> bool:
    """Say whether the units are the rows of the module's weight in order, and nothing comes behind it but its bias."""
    rows = group.incoming[0]
    biases = [slot for slot in group.carried if not slot.tensor.endswith("bias")]
    return (
        len(group.incoming) == 1
        and rows.axis == 0
        and torch.equal(rows.index, torch.arange(module.out_features)[:, None])
        and not biases
        and len(group.carried) <= 1
    )
