"""`keep`: from scores to a mask, by exact counts."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from surplus.base import InvalidArgument, check_sparsity
from surplus.masks.mask import Mask
from surplus.masks.scores import Scores


def keep(
    scores: Scores,
    sparsity: float,
    within: Literal["layer", "model"] = "layer",
    among: Mask | None = None,
    floor: int = 1,
    multiple: int = 1,
) -> Mask:
    """Keep the elements with the highest scores and remove the given fraction of the rest.

    Exactly round(`sparsity` * n) elements are removed, ties going to the lower index first; a layer of units always
    keeps its best one, since a network with an empty layer computes nothing. Where a layer has to lose as many of each
    of its blocks, the lowest of each block go together, and no more are removed than were asked for.

    Args:
        scores: What a criterion said; higher = keep.
        sparsity: The fraction to remove, in [0, 1).
        within: Whether the fraction holds in each layer, or over the whole model with scores compared across layers.
        among: A mask of an earlier round; what it removed stays removed and counts towards the sparsity.
        floor: How many units each layer keeps at least.
        multiple: Layers keep a multiple of so many units: the best of those that would go stay, until it is one.

    Raises:
        InvalidArgument: `sparsity` lies outside [0, 1), `within` is neither "layer" nor "model", `floor` or `multiple`
            is below 1, `among` belongs to another model, or there are no scores, since nothing can be removed.

    Example:
        >>> scores = Scores({"fc1": torch.tensor([3.0, 1.0, 2.0, 4.0])}, "units")
        >>> keep(scores, sparsity=0.5).kept["fc1"].tolist()
        [True, False, False, True]
    """
    check_sparsity(sparsity)
    _check_any(scores)
    whole = {name: torch.ones_like(v, dtype=torch.bool) for name, v in scores.values.items()}
    full = Mask(whole, scores.over, scores.units)
    both = full if among is None else full & among
    before = {name: both.kept[name] for name in whole}
    if floor < 1 or multiple < 1:
        raise InvalidArgument(
            f"`floor` is {floor} and `multiple` is {multiple}; both must be at least 1."
        )
    floor = floor if scores.over == "units" else 0
    blocks = _blocks(scores)
    if within == "layer":
        kept = {
            name: _remove_lowest({name: value}, {name: before[name]}, sparsity, floor, blocks)[name]
            for name, value in scores.values.items()
        }
    elif within == "model":
        kept = _remove_lowest(scores.values, before, sparsity, floor, blocks)
    else:
        raise InvalidArgument(f'`within` is {within!r}; it must be "layer" or "model".')
    if multiple > 1 and scores.over == "units":
        kept = {
            name: _rounded(value, kept[name], before[name], multiple, blocks.get(name))
            for name, value in scores.values.items()
        }
    mask = Mask(kept, scores.over, scores.units)
    return mask if among is None else mask & among


def _check_any(scores: Scores) -> None:
    """Refuse scores of nothing, with the reasons for which units have to stay."""
    if scores.values:
        return
    groups = [each for each in scores.units or () if each.protected is not None]
    reasons = "".join(f" `{each.name}` stays: {each.protected}." for each in groups[:3])
    more = f" So do {len(groups) - 3} more: `print(units)` lists them." if len(groups) > 3 else ""
    raise InvalidArgument(f"There are no scores, so that nothing can be removed.{reasons}{more}")


def _remove_lowest(
    values: dict[str, Float[Tensor, "..."]],
    before: dict[str, Bool[Tensor, "..."]],
    sparsity: float,
    floor: int,
    blocks: dict[str, Int[Tensor, "blocks block_size"]],
) -> dict[str, Bool[Tensor, "..."]]:
    """Remove over all given layers together, what was removed before first, each layer's best `floor` never."""
    if any(name in blocks for name in values):
        return _remove_together(values, before, sparsity, floor, blocks)
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


def _blocks(scores: Scores) -> dict[str, Int[Tensor, "blocks block_size"]]:
    """Return the blocks of every group that has to lose as many of each."""
    if scores.over == "weights" or scores.units is None:
        return {}
    groups = (scores.units[name] for name in scores.values)
    return {
        group.name: max(group.constraints, key=lambda each: len(each.blocks)).blocks
        for group in groups
        if group.constraints
    }


def _remove_together(
    values: dict[str, Float[Tensor, "..."]],
    before: dict[str, Bool[Tensor, "..."]],
    sparsity: float,
    floor: int,
    blocks: dict[str, Int[Tensor, "blocks block_size"]],
) -> dict[str, Bool[Tensor, "..."]]:
    """Remove the lowest units, those of blocks in sets of one from each, as long as the asked number is not passed."""
    kept = {name: mask.clone() for name, mask in before.items()}
    candidates: list[tuple[float, int, str, list[int]]] = []
    for place, (name, value) in enumerate(values.items()):
        scores = value.detach().double()
        sets = _sets(scores, kept[name], blocks.get(name))
        # The last sets are the best ones and stay.
        spared = -(-floor // len(sets[-1])) if sets else 0
        candidates += [
            (float(scores[each].mean()), place, name, each) for each in sets[: len(sets) - spared]
        ]
    total = sum(len(value) for value in values.values())
    room = round(sparsity * total) - sum(int((~mask).sum()) for mask in kept.values())
    for _, _, name, units in sorted(candidates, key=lambda each: each[:2]):
        if len(units) <= room:
            kept[name][units] = False
            room -= len(units)
    return kept


def _sets(
    scores: Float[Tensor, " units"],
    kept: Bool[Tensor, " units"],
    blocks: Int[Tensor, "blocks block_size"] | None,
) -> list[list[int]]:
    """Return what goes together, from the lowest: units alone, or the k-th lowest of every block."""
    if blocks is None:
        order = torch.argsort(scores, stable=True)
        return [[unit] for unit in order[kept[order]].tolist()]
    columns = []
    for block in blocks:
        left = block[kept[block]]
        columns.append(left[torch.argsort(scores[left], stable=True)].tolist())
    return [list(each) for each in zip(*columns, strict=True)]


def _rounded(
    value: Float[Tensor, " units"],
    kept: Bool[Tensor, " units"],
    before: Bool[Tensor, " units"],
    multiple: int,
    blocks: Int[Tensor, "blocks block_size"] | None,
) -> Bool[Tensor, " units"]:
    """Take the best of what would go back, until a multiple is kept or nothing is left."""
    kept = kept.clone()
    for units in reversed(_sets(value.detach().double(), before & ~kept, blocks)):
        if int(kept.sum()) % multiple == 0:
            break
        kept[units] = True
    return kept


def _best(
    value: Float[Tensor, "..."], kept: Bool[Tensor, "..."], floor: int
) -> Bool[Tensor, " elements"]:
    spared = torch.zeros(value.numel(), dtype=torch.bool)
    if floor:
        flat = value.detach().reshape(-1).double().masked_fill(~kept.reshape(-1), -torch.inf)
        spared[torch.argsort(flat, stable=True)[-floor:]] = True
    return spared
