"""Scalar products of the gradients of all pairs of examples."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.passes.ghost.lookup import Lookup, renumbered
from surplus.passes.ghost.pieces import Piece
from surplus.passes.ghost.products import Products, chunks

LIMIT = 2**24
"""Values of gradients that are formed at a time."""


def gradient_gram(pieces: Sequence[Piece]) -> Float[Tensor, "examples examples"]:
    """Return the scalar products of the gradients of one parameter between all examples, in float64.

    For a matrix that reads one row per example it is the product of two Gram matrices, entry by entry; otherwise it
    is summed up over blocks of the parameter, of which no more is formed at a time than `LIMIT` allows.

    Args:
        pieces: What the batches gave for that parameter, in order and all of one form; `compact` makes them small.
    """
    products = [each for each in pieces if isinstance(each, Products)]
    if len(products) == len(pieces) and all(each.num_positions == 1 for each in products):
        return _of_single_rows(products)
    tables = [each for each in pieces if isinstance(each, Lookup)]
    if len(tables) == len(pieces):
        pieces = renumbered(tables)
    count = sum(each.num_examples for each in pieces)
    columns, size = min((each.num_columns, each.column_size) for each in pieces)
    found = torch.zeros(count, count, dtype=torch.float64)
    step = max(1, LIMIT // (count * size))
    for start in range(0, columns, step):
        stop = min(start + step, columns)
        block = torch.cat([_block(each, start, stop, size) for each in pieces])
        found += (block @ block.T).cpu()
    return found


def _of_single_rows(pieces: Sequence[Products]) -> Float[Tensor, "examples examples"]:
    inputs, deltas = (
        torch.cat([read(piece, slice(0, piece.num_examples))[:, :, 0] for piece in pieces]).double()
        for read in (Products.inputs, Products.deltas)
    )
    found = torch.zeros(len(inputs), len(inputs), dtype=torch.float64, device=inputs.device)
    for group in range(inputs.shape[1]):
        a, delta = inputs[:, group], deltas[:, group]
        found += (a @ a.T) * (delta @ delta.T)
    return found.cpu()


def _block(piece: Piece, start: int, stop: int, size: int) -> Float[Tensor, "examples values"]:
    # What was made compact counts single values.
    start, stop = (each * size // piece.column_size for each in (start, stop))
    slices = chunks(piece.num_examples, piece.num_columns * piece.column_size)
    return torch.cat([piece.columns(each, start, stop).double() for each in slices])
