"""`factorise`: one layer as two that are narrow between them."""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from surplus.base import InvalidArgument
from surplus.edits.edits import Edits
from surplus.edits.records import Factorisation
from surplus.edits.surgery import (
    check_factorisable,
    check_only_called,
    factors,
    module_named,
    replace_,
)
from surplus.edits.verifying import NotEqual, difference
from surplus.units import Units, copied


def factorise(
    model: nn.Module,
    units: Units,
    layer: str,
    rank: int | None = None,
    energy: float | None = None,
    verify: bool = True,
) -> tuple[nn.Module, Edits]:
    r"""Return a model in which one layer is two, `rank` wide between them, and the record of the edit.

    The product of the two is the best approximation of that rank of the layer's weight in Frobenius norm: its
    truncated singular value decomposition W = U S V^T, of which the first layer gets S^(1/2) V^T and the second
    U S^(1/2). It is smaller if the rank is below n m / (n + m) for a weight of n by m.

    Args:
        model: The model.
        units: Its units, with the example on which the outputs are compared.
        layer: A linear layer, or a convolution without groups, whose weight counts as a matrix of one row per filter.
        rank: The width between the two.
        energy: Instead of the rank, the share of the squared singular values to keep, in (0, 1]. Without either, the
            rank is at the elbow of the singular values.
        verify: Compare the outputs with those before, and note the difference: zero to rounding where the rank is
            that of the weight.

    Raises:
        InvalidArgument: the layer has no single weight matrix, or one that is not finite; its weight is used under
            another name, too, or something reads its attributes; or both or a wrong `rank` or `energy` are given.

    Example:
        >>> from surplus.units import find_units
        >>> net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
        >>> smaller, edits = factorise(net, find_units(net, torch.zeros(1, 64)), "0", rank=8)
        >>> [tuple(each.weight.shape) for each in smaller[0]]
        [(8, 64), (64, 8)]
    """
    chosen: Any = module_named(model, layer)
    check_factorisable(chosen)
    _check_alone(model, layer, chosen)
    if rank is not None and energy is not None:
        raise InvalidArgument("`rank` and `energy` both say how wide the two layers are: give one.")
    pair = _decomposed(chosen, rank, energy)
    smaller = copied(model)
    replace_(smaller, layer, pair)
    step = Factorisation(module=layer, rank=len(pair[0].weight))
    if verify:
        words = ("original", "factorised")
        try:
            apart = difference(model, smaller, model, units.example, words, bounded=False)
        except NotEqual as failed:
            check_only_called(layer, failed)
            raise
        step = replace(step, difference=apart)
    return smaller, Edits((step,))


def _check_alone(model: nn.Module, name: str, layer: Any) -> None:
    """Refuse a layer whose weight stands for something else, too."""
    others = [
        path
        for path, module in model.named_modules()
        if module is not layer and any(each is layer.weight for each in module._parameters.values())
    ]
    if others:
        raise InvalidArgument(
            f"The weight of `{name}` is that of `{others[0]}`, too, and two layers cannot be tied to one."
        )
    if layer._forward_pre_hooks or layer._forward_hooks:
        raise InvalidArgument(
            f"`{name}` has hooks, which the two layers in its place would not: remove them first."
        )


@torch.no_grad()
def _decomposed(layer: Any, rank: int | None, energy: float | None) -> Any:
    """Return the two layers."""
    if not bool(layer.weight.isfinite().all()):
        raise InvalidArgument(
            "The layer's weight holds values that are not finite, and so it has no singular values."
        )
    U, S, Vh = torch.linalg.svd(layer.weight.detach().flatten(1).double(), full_matrices=False)
    if rank is None:
        rank = _elbow(S) if energy is None else _enough(S, energy)
    pair: Any = factors(layer, rank)
    root = S[:rank].sqrt()
    pair[0].weight.copy_((root[:, None] * Vh[:rank]).reshape(pair[0].weight.shape))
    pair[1].weight.copy_((U[:, :rank] * root).reshape(pair[1].weight.shape))
    if layer.bias is not None:
        pair[1].bias.copy_(layer.bias)
    return pair


def _elbow(S: Float[Tensor, " rank"]) -> int:
    """Return the rank at which the curve of the singular values is farthest below the line between its ends."""
    if len(S) < 3 or float(S[0]) <= float(S[-1]):
        return len(S)
    place = torch.linspace(0, 1, len(S), dtype=S.dtype)
    height = (S - S[-1]) / (S[0] - S[-1])
    return int((1 - place - height.cpu()).argmax()) + 1


def _enough(S: Float[Tensor, " rank"], energy: float) -> int:
    """Return the smallest rank that keeps a share of the squared singular values."""
    if not 0 < energy <= 1:
        raise InvalidArgument(
            f"`energy` is {energy}; it is the share of the squared singular values to keep, in (0, 1]."
        )
    shares = S.square().cumsum(0) / S.square().sum()
    return min(int((shares < energy - 1e-12).sum()) + 1, len(S))
