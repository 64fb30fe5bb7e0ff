"""Masks of `torch.nn.utils.prune`: taken off a model, and turned into masks over units."""

import warnings

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.nn.utils import prune

from surplus.base import InvalidArgument
from surplus.edits import example_for, masked
from surplus.interop.agreement import distance, tensors_in
from surplus.masks import Mask
from surplus.units import Group, Units, copied, evaluating, left_as_found


def import_prune(model: nn.Module) -> tuple[nn.Module, Mask]:
    """Return a copy of a model without the masks of `torch.nn.utils.prune`, and these masks as one over its weights.

    What was masked is zero in the copy for good, so it computes the same; the caller's model stays as it was. Enforce
    the mask in training with `surplus.enforce`, or cut what it removes whole, see `over_units`.

    Raises:
        InvalidArgument: the model carries no such mask; or a masked tensor is used elsewhere, too, without its mask.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        >>> _ = prune.ln_structured(net[0], "weight", amount=1, n=2, dim=0)
        >>> plain, mask = import_prune(net)
        >>> mask.sparsity, [name for name, _ in plain.named_parameters() if name.startswith("0")]
        (0.33333333333333337, ['0.bias', '0.weight'])
    """
    masks = prune_masks(model)
    if not masks:
        raise InvalidArgument(
            "The model carries no mask of torch.nn.utils.prune, such as `prune.ln_structured` leaves in a module:"
            " there is nothing to take over."
        )
    _check_alone(model)
    plain = copied(model)
    for _, module, name in _pruned(plain):
        prune.remove(module, name)  # type: ignore[no-untyped-call]
    return plain, Mask({name: mask.bool().cpu() for name, mask in masks.items()}, "weights")


def over_units(mask: Mask, units: Units) -> Mask:
    """Return the mask over units that removes those of which a mask over weights leaves nothing to compute or to read.

    That is what structured pruning means, as `prune.ln_structured` along the output axis. A bias that was not masked
    goes as well: a warning says by how much that changes the outputs. Another names masked units that have to stay.

    Args:
        mask: A mask over weights, as `import_prune` returns it.
        units: The units of the model whose weights they are, as `import_prune` returns it.

    Raises:
        InvalidArgument: the mask is over units, or does not fit the model.

    Example:
        >>> from surplus.units import find_units
        >>> net = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 1))
        >>> _ = prune.ln_structured(net[0], "weight", amount=1, n=2, dim=0)
        >>> plain, mask = import_prune(net)
        >>> over_units(mask, find_units(plain, torch.randn(4, 2))).num_kept
        2
    """
    _check_weights(mask, units)
    kept = {}
    staying: list[str] = []
    for group in units:
        gone = _gone(group, mask)
        if group.protected is None:
            even = _evenly(group, gone)
            kept[group.name] = ~even
            if int(even.sum()) < int(gone.sum()):
                reason = group.constraints[0].reason
                staying.append(f"{int((gone & ~even).sum())} of `{group.name}`, since {reason}")
        elif gone.any():
            staying.append(f"{int(gone.sum())} of `{group.name}`, since {group.protected}")
    if staying:
        warnings.warn(f"Masked units that have to stay: {'; '.join(staying)}.", stacklevel=2)
    found = Mask(kept, "units", units)
    apart = _distance_to_cut(found, units)
    if apart:
        touched = ", ".join(f"`{name}`" for name, each in kept.items() if not each.all())
        warnings.warn(
            f"Removing the units of {touched} changes the outputs on the example by up to {apart:.3g}: their weights"
            " are masked, their biases or normalisations are not, and go as well.",
            stacklevel=2,
        )
    return found


def prune_masks(model: nn.Module) -> dict[str, Tensor]:
    """Return the masks that a model carries, by the name that the masked tensor has without them."""
    return {
        f"{path}.{name}" if path else name: getattr(module, f"{name}_mask")
        for path, module, name in _pruned(model)
    }


def _pruned(model: nn.Module) -> list[tuple[str, nn.Module, str]]:
    """Return the tensors that hooks of torch's pruning compute, as the module's path, the module, and the name."""
    return [
        (path, module, hook._tensor_name)
        for path, module in model.named_modules()
        for hook in module._forward_pre_hooks.values()
        if isinstance(hook, prune.BasePruningMethod)
    ]


def _check_alone(model: nn.Module) -> None:
    """Refuse masked tensors that have another name, under which they are not masked."""
    for path, module, name in _pruned(model):
        tensor = module._parameters[f"{name}_orig"]
        for other_path, other in model.named_modules():
            for other_name, each in other._parameters.items():
                if each is tensor and other is not module:
                    raise InvalidArgument(
                        f"`{path}.{name}` is masked and shares its tensor with `{other_path}.{other_name}`, where the"
                        " mask for good would show as well: untie them first."
                    )


def _check_weights(mask: Mask, units: Units) -> None:
    if mask.over != "weights":
        raise InvalidArgument(
            "This mask is over units already; `over_units` takes one over weights."
        )
    for name, kept in mask.kept.items():
        shape = units.shapes.get(name)
        if shape != kept.shape:
            raise InvalidArgument(
                f"The mask of `{name}` has shape {tuple(kept.shape)}; the model has"
                f" {'no such tensor' if shape is None else tuple(shape)}. Find the units of the model that"
                " `import_prune` returns."
            )


def _gone(group: Group, mask: Mask) -> Bool[Tensor, " units"]:
    """Say which units have all that computes them masked, or all that reads them."""
    gone = torch.zeros(group.size, dtype=torch.bool)
    for slots in (group.incoming, group.outgoing):
        if slots and all(slot.tensor in mask.kept for slot in slots):
            left = [slot.vectors(mask.kept[slot.tensor].float()).any(1) for slot in slots]
            gone |= ~torch.stack(left).any(0)
    return gone


def _evenly(group: Group, gone: Bool[Tensor, " units"]) -> Bool[Tensor, " units"]:
    """Leave out what is more in one block than in another where as many have to go from each."""
    if not group.constraints:
        return gone
    blocks = max(group.constraints, key=lambda each: len(each.blocks)).blocks
    num = int(gone[blocks].sum(1).min())
    even = torch.zeros_like(gone)
    for block in blocks:
        even[block[gone[block]][:num]] = True
    return even


@torch.no_grad()
def _distance_to_cut(mask: Mask, units: Units) -> float:
    """Return by how much removing units changes the outputs on the example, or 0 if by no more than rounding."""
    if mask.num_kept == mask.size or not all(bool(each.any()) for each in mask.kept.values()):
        return 0.0
    outputs = []
    for model in (units.model, masked(units.model, mask)):
        positional, named = example_for(model, units.example)
        with evaluating(model), left_as_found(model):
            outputs.append(tensors_in(model(*positional, **named)))
    apart = [distance(*pair) for pair in zip(*outputs, strict=True)]
    return max((each.absolute for each in apart if not each.is_rounding), default=0.0)
