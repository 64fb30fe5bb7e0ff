"""What weight matrices receive and what comes back to their outputs, row by row."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from surplus.passes.ghost.alone import OfOne
from surplus.passes.ghost.direct import Direct
from surplus.passes.ghost.lookup import Lookup
from surplus.passes.ghost.pieces import Piece
from surplus.passes.ghost.products import Products
from surplus.passes.ghost.summed import Summed


@final
@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The two factors of a weight matrix's gradient; a row is an example, or a position of one."""

    inputs: Float[Tensor, "rows fan_in"]
    """What the matrix received: for convolutions, patches."""
    deltas: Float[Tensor, "rows units"]
    """The gradients of the sum of the losses with respect to its outputs."""
    examples: Int[Tensor, " rows"]
    """The example of each row."""
    num_examples: int


def matrix_rows(
    pieces: dict[str, Piece], positions: int | None, generator: torch.Generator
) -> tuple[dict[str, Rows], dict[str, str]]:
    """Return the rows of each weight matrix that one batch gave.

    Args:
        pieces: Of the batch; see `Ghost`.
        positions: How many positions of an example become rows, the same of each example; None takes all.
        generator: Draws them.

    Returns:
        The rows by parameter, and why a parameter with two axes or more has none.
    """
    found: dict[str, Rows] = {}
    reasons: dict[str, str] = {}
    for name, piece in pieces.items():
        reason = _reason(piece)
        if reason is None and isinstance(piece, Products):
            found[name] = _rows(piece, positions, generator)
        elif reason:
            reasons[name] = reason
    return found, reasons


def _rows(piece: Products, positions: int | None, generator: torch.Generator) -> Rows:
    inputs, deltas = [], []
    for part in piece.parts:
        chosen = None
        if positions is not None and part.num_positions > positions:
            order = torch.randperm(part.num_positions, generator=generator)
            chosen = order[:positions].sort().values
        both = part.rows(chosen)
        inputs.append(both[0])
        deltas.append(both[1])
    received, returned = torch.cat(inputs, 1), torch.cat(deltas, 1)
    batch, count = received.shape[:2]
    examples = torch.arange(batch, device=received.device).repeat_interleave(count)
    return Rows(received.flatten(0, 1), returned.flatten(0, 1), examples, batch)


def _reason(piece: Piece) -> str | None:
    """Say why a parameter has no rows; empty where it is a vector, of which none are expected."""
    if isinstance(piece, Products):
        if piece.exchanged:
            return "it is the weight of a transposed convolution, whose inputs are not what its rows are"
        return None if piece.groups == 1 else "its inputs and outputs fall into groups"
    if isinstance(piece, Lookup):
        return "it is a table, which receives the numbers of its rows"
    if isinstance(piece, Direct):
        return ""
    if isinstance(piece, Summed):
        return "it is read in several ways, or not at all" if piece.num_axes > 1 else ""
    if isinstance(piece, OfOne) and piece.num_axes < 2:
        return ""
    return "an operator reads it that is not a plain product"
