"""Gradients of many examples, batch by batch: their lengths, and what they share."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from surplus.passes.data import Data, batches
from surplus.passes.ghost.engine import Ghost, Passed
from surplus.passes.ghost.gram import gradient_gram
from surplus.passes.ghost.matrix_sums import MatrixSums
from surplus.passes.ghost.pieces import Piece
from surplus.passes.ghost.products import Products

FIRST = 8
"""Examples of the first batch, by which the size of the others is chosen."""
MOST = 512
MEMORY = 2**26
"""Bytes that the gradients at the outputs may take; a pass takes a few times as much."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class GradientSample:
    """What is known of the gradients of some examples: one row per example, one column per parameter."""

    names: tuple[str, ...]
    """The parameters."""
    squared_norms: Float[Tensor, "examples params"]
    with_sum: Float[Tensor, "examples params"]
    """The scalar product of each example's gradient with the sum of all."""
    of_sum: Float[Tensor, " params"]
    """The squared norm of the sum of all gradients."""
    losses: Float[Tensor, " examples"]
    input_norms: Float[Tensor, " examples"]


def gradient_sample(model: nn.Module, data: Data, rows: MatrixSums | None = None) -> GradientSample:
    """Return the lengths of the gradients of all examples, and their products with the gradient of the whole.

    The data are read twice: first for the lengths and the sum, then for the products. What is held at a time are the
    activations of one batch and one vector of the size of the parameters.

    Args:
        model: It is run in evaluation mode and left as it was.
        data: The examples, with their labels.
        rows: Also takes in what weight matrices receive and get back, on the way.

    Raises:
        InvalidArgument: the data hold no examples, or the model mixes them.
    """
    ghost = Ghost(model)
    totals: dict[str, Tensor] = {}
    norms, losses, lengths = [], [], []
    for (inputs, _), passed in _passes(ghost, data, sums=True):
        norms.append(_side_by_side(passed.squared_norms()).detach())
        if rows is not None:
            rows.add(passed)
        for name, each in (passed.sums or {}).items():
            totals[name] = totals[name] + each.double() if name in totals else each.double()
        losses.append(passed.losses.double().cpu())
        lengths.append(inputs.reshape(len(inputs), -1).double().norm(dim=1).cpu())
    products = [
        _side_by_side(passed.dots(totals)).detach()
        for _, passed in _passes(ghost, data, sums=False)
    ]
    return GradientSample(
        names=tuple(totals),
        squared_norms=torch.cat(norms),
        with_sum=torch.cat(products),
        of_sum=torch.stack([each.square().sum() for each in totals.values()]).cpu(),
        losses=torch.cat(losses),
        input_norms=torch.cat(lengths),
    )


def gradient_grams(model: nn.Module, data: Data) -> dict[str, Float[Tensor, "examples examples"]]:
    """Return the scalar products of the gradients of all pairs of examples, per parameter, in float64.

    What is kept of a batch are its gradients or, where they take less, activations and gradients at outputs.

    Raises:
        InvalidArgument: the data hold no examples, or the model mixes them.
    """
    kept: dict[str, list[Piece]] = {}
    forms: dict[str, set[object]] = {}
    ghost = Ghost(model)
    for _, passed in _passes(ghost, data, sums=False):
        for name, piece in passed.pieces.items():
            forms.setdefault(name, set()).add(_form(piece))
            kept.setdefault(name, []).append(piece.compact())
    changing = [name for name, seen in forms.items() if len(seen) > 1]
    if changing:
        # The model took other paths on other batches: bring all of them into the parameter's own order.
        kept.update({name: [] for name in changing})
        for _, passed in _passes(ghost, data, sums=False):
            for name in changing:
                kept[name].append(passed.ordered(name).compact())
    with torch.no_grad():
        return {name: gradient_gram(pieces) for name, pieces in kept.items()}


def _form(piece: Piece) -> object:
    """Return what two pieces must share so that their columns mean the same."""
    order = (piece.columns_first, piece.shape) if isinstance(piece, Products) else ()
    return type(piece), piece.num_columns, order


def _passes(ghost: Ghost, data: Data, sums: bool) -> Iterator[tuple[tuple[Tensor, Tensor], Passed]]:
    """Yield the data in batches that fit into memory, with what each gave."""
    size = FIRST
    for inputs, targets in batches(data, ghost.model):
        begin = 0
        while begin < len(targets):
            part = inputs[begin : begin + size], targets[begin : begin + size]
            begin += size
            passed = ghost(*part, sums=sums)
            size = min(MOST, max(1, MEMORY * len(part[1]) // max(passed.held, 1)))
            yield part, passed


def _side_by_side(columns: dict[str, Tensor]) -> Float[Tensor, "batch params"]:
    return torch.stack([*columns.values()], 1).cpu()
