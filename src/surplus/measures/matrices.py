"""The weight matrices of a network, under the names by which findings call them."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from surplus.measures.observed import Observed
from surplus.measures.untreated import Untreated
from surplus.passes.spectra import permuted_singular_values, singular_values


class Trimmed(NamedTuple):
    """Matrices of one layer, without the rows and columns in which all of them are zero."""

    stack: Float[Tensor, "positions rows columns"]
    full_shape: tuple[int, int]
    """Of each matrix with those rows and columns."""
    note: str | None
    """How much was left out."""

    @property
    def num_long(self) -> int:
        """The longer side."""
        return max(self.stack.shape[1:])

    @property
    def num_short(self) -> int:
        """The shorter side."""
        return min(self.stack.shape[1:])


def layer_names(parameters: Iterable[str]) -> dict[str, str]:
    """Return the names under which findings call weights: that of the parameter, without a last `.weight`.

    Parameters of other names (`rnn.weight_ih_l0`, a bare `queries`) keep theirs, and so do two that would become one.

    Example:
        >>> layer_names(["fc.weight", "rnn.weight_ih_l0", "weight"])
        {'fc.weight': 'fc', 'rnn.weight_ih_l0': 'rnn.weight_ih_l0', 'weight': 'weight'}
    """
    names = list(parameters)
    short = {name: name.removesuffix(".weight") for name in names}
    taken = list(short.values())
    return {name: one if taken.count(one) == 1 else name for name, one in short.items()}


def parameters_of(seen: Observed) -> dict[str, str]:
    """Return the parameter behind each layer's name."""
    parameters = seen.model.named_parameters()
    names = layer_names(name for name, parameter in parameters if parameter.dim() >= 2)
    return {layer: name for name, layer in names.items()}


def by_layer(
    matrices: Mapping[str, Float[Tensor, "_ _"]],
) -> dict[str, Float[Tensor, "_ _"]]:
    """Return weight matrices by the names of layers."""
    names = layer_names(matrices)
    return {names[name]: W for name, W in matrices.items()}


def check_matrix(W: Float[Tensor, "rows columns"]) -> None:
    """Refuse a matrix that has no spectrum to speak of.

    Raises:
        Untreated: it is empty, holds NaN or infinities, or is zero throughout.
    """
    if W.numel() == 0:
        raise Untreated("it has no weights")
    # A sum is quicker to look at, and finite only if all weights are.
    if not W.sum().isfinite() and not W.isfinite().all():
        raise Untreated("some of its weights are NaN or infinite")
    if not W.any():
        raise Untreated("all its weights are zero")


def update_of(
    layer: str, matrices: Mapping[str, Tensor], initial: Mapping[str, Tensor]
) -> Float[Tensor, "rows columns"]:
    """Return what training added to the weights of a layer.

    Raises:
        Untreated: the shapes differ, or nothing was added, or weights are NaN or infinite.
    """
    if initial[layer].shape != matrices[layer].shape:
        raise Untreated("its weights had another shape at initialisation")
    check_matrix(matrices[layer])
    update = matrices[layer] - initial[layer]
    if not update.any():
        raise Untreated("its weights are those of initialisation")
    check_matrix(update)
    return update


def trimmed(W: Float[Tensor, "rows columns"], shape: torch.Size, by_position: bool) -> Trimmed:
    """Return what of a weight matrix can hold noise: rows and columns of zeros belong to units that were removed.

    Args:
        W: The weight, flattened to its first axis x the rest.
        shape: Of the weight itself: axes after the second are positions of a kernel.
        by_position: Whether each position is a matrix of its own.

    Raises:
        Untreated: the matrix has no spectrum to speak of.
    """
    check_matrix(W)
    num_positions = shape[2:].numel() if by_position else 1
    stack = W.reshape(len(W), -1, num_positions).permute(2, 0, 1)
    full_shape = stack.shape[1], stack.shape[2]
    zero = stack == 0
    if not zero.any():
        return Trimmed(stack, full_shape, None)
    rows, columns = ~zero.all(2).all(0), ~zero.all(1).all(0)
    left_out = int((~rows).sum()), int((~columns).sum())
    if not any(left_out):
        return Trimmed(stack, full_shape, None)
    note = f"{left_out[0]} rows and {left_out[1]} columns of zeros are left out"
    return Trimmed(stack[:, rows][:, :, columns], full_shape, note)


def values_of(
    seen: Observed, what: str, layer: str, stack: Float[Tensor, "positions rows columns"]
) -> Float[Tensor, "positions values"]:
    """Return the singular values of a layer's matrices; asked again for the same network, they are not found anew.

    Args:
        seen: The network.
        what: Which of the layer's matrices, such as "weights" or "update".
        layer: The layer.
        stack: The matrices.
    """
    # In float64, values that float32 would hide are told from zero.
    small = any(each.dtype == torch.float64 for each in seen.model.parameters())
    key = ("singular values", what, layer, stack.shape)
    return seen.once(key, lambda: singular_values(stack, small=small))


def permuted_values_of(
    seen: Observed, layer: str, stack: Float[Tensor, "positions rows columns"], num_draws: int
) -> list[Float[Tensor, "positions values"]]:
    """Return the same of several permutations of the entries of a layer's weights."""
    return [
        seen.once(
            ("singular values", "permuted", layer, stack.shape, draw),
            partial(permuted_singular_values, stack, draw, seen.seed),
        )
        for draw in range(num_draws)
    ]
