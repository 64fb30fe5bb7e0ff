"""`keep`: from scores to a mask, by exact counts."""

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from surplus.base import InvalidArgument, check_sparsity
from surplus.masks.mask import Mask
from surplus.masks.scores import Scores


def keep(
    scores: Scores,
    sparsity: float,
    within: Literal["layer", "model"] = "layer",
    among: Mask | None = None,
) -> Mask:
    """Keep the elements with the highest scores and remove the given fraction of the rest.

    Exactly round(`sparsity` * n) elements are removed, ties going to the lower index first; a layer of units always
    keeps its best one, since a network with an empty layer computes nothing.

    Args:
        scores: What a criterion said; higher = keep.
        sparsity: The fraction to remove, in [0, 1).
        within: Whether the fraction holds in each layer, or over the whole model with scores compared across layers.
        among: A mask of an earlier round; what it removed stays removed and counts towards the sparsity.

    Raises:
        InvalidArgument: `sparsity` lies outside [0, 1), `within` is neither "layer" nor "model", or `among` belongs to
            another model.

    Example:
        >>> scores = Scores({"fc1": torch.tensor([3.0, 1.0, 2.0, 4.0])}, "units")
        >>> keep(scores, sparsity=0.5).kept["fc1"].tolist()
        [True, False, False, True]
    """
    check_sparsity(sparsity)
    whole = {name: torch.ones_like(v, dtype=torch.bool) for name, v in scores.values.items()}
    full = Mask(whole, scores.over, scores.units)
    both = full if among is None else full & among
    before = {name: both.kept[name] for name in whole}
    floor = 1 if scores.over == "units" else 0
    if within == "layer":
        kept = {
            name: _remove_lowest({name: value}, {name: before[name]}, sparsity, floor)[name]
            for name, value in scores.values.items()
        }
    elif within == "model":
        kept = _remove_lowest(scores.values, before, sparsity, floor)
    else:
        raise InvalidArgument(f'`within` is {within!r}; it must be "layer" or "model".')
    mask = Mask(kept, scores.over, scores.units)
    return mask if among is None else mask & among


def _remove_lowest(
    values: dict[str, Float[Tensor, "..."]],
    before: dict[str, Bool[Tensor, "..."]],
    sparsity: float,
    floor: int,
) -> dict[str, Bool[Tensor, "..."]]:
    """Remove over all given layers together, what was removed before first, each layer's best `floor` never."""
    flat = torch.cat([value.detach().reshape(-1).double() for value in values.values()])
    kept = torch.cat([mask.reshape(-1) for mask in before.values()]).clone()
    spared = torch.cat([_best(value, before[name], floor) for name, value in values.items()])
    num_removed = round(sparsity * len(flat)) - int((~kept).sum())
    if num_removed > 0:
        order = torch.argsort(flat, stable=True)
        candidates = order[(kept & ~spared)[order]]
        kept[candidates[:num_removed]] = False
    parts = torch.split(kept, [value.numel() for value in values.values()])
    return {
        name: part.view(value.shape)
        for (name, value), part in zip(values.items(), parts, strict=True)
    }


def _best(
    value: Float[Tensor, "..."], kept: Bool[Tensor, "..."], floor: int
) -> Bool[Tensor, " elements"]:
    spared = torch.zeros(value.numel(), dtype=torch.bool)
    if floor:
        flat = value.detach().reshape(-1).double().masked_fill(~kept.reshape(-1), -torch.inf)
        spared[torch.argsort(flat, stable=True)[-floor:]] = True
    return spared
