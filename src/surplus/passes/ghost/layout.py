"""Layouts: which elements of a gradient belong to which example."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

NOISE = 1e-5
"""Differences below this fraction of an example's largest value are rounding."""
SAMPLED = 4096
"""Elements that are looked at first."""
BASE = 16
"""Weights are powers of two below 2^16: scaling by them rounds nothing."""


class Layout(NamedTuple):
    """The elements of a tensor in their order, as [outer, examples, inner]."""

    outer: int
    inner: int

    def fits(self, tensor: Tensor, examples: int) -> bool:
        """Say whether a tensor has as many elements as the layout wants for so many examples."""
        return tensor.numel() == self.outer * examples * self.inner

    def split(self, tensor: Tensor, examples: int, kept: tuple[int, ...]) -> Tensor:
        """Return a tensor as [outer, examples, inner, *kept], where `kept` are its last axes."""
        return tensor.reshape(self.outer, examples, -1, *kept)


def codes(examples: int) -> Float[Tensor, "passes examples"]:
    """Return weights that tell the examples apart: the digits of their numbers, as powers of two.

    Example:
        >>> codes(3).tolist(), tuple(codes(17).shape)
        ([[1.0, 2.0, 4.0]], (2, 17))
    """
    numbers = torch.arange(examples)
    digits = [numbers % BASE]
    while int(numbers.max()) >= BASE:
        numbers = numbers // BASE
        digits.append(numbers % BASE)
    return 2.0 ** torch.stack(digits)


def layouts(
    plain: Tensor,
    weighted: Sequence[Tensor],
    weights: Float[Tensor, "passes examples"],
    together: int,
) -> Iterator[Layout]:
    """Yield the layouts under which weighting the losses of the examples scales the gradient as it did.

    Args:
        plain: The gradient of the sum of the losses.
        weighted: The gradients of the weighted sums.
        weights: The weights of each.
        together: How many elements that lie side by side are known to belong to one example.
    """
    examples = weights.shape[1]
    first: Layout | None = None
    for inner in _inner_sizes(plain, examples, together):
        layout = Layout(plain.numel() // (examples * inner), inner)
        if first is not None and _contradicts(layout, first, plain, examples):
            continue
        whole = layout.split(plain, examples, ())
        scale = whole.abs().amax((0, 2))
        if all(
            _scaled(whole, layout.split(other, examples, ()), factors.to(plain), scale)
            for other, factors in zip(weighted, weights, strict=True)
        ):
            first = layout if first is None else first
            yield layout


def _contradicts(layout: Layout, found: Layout, plain: Tensor, examples: int) -> bool:
    """Say whether some large element belongs to another example than under a layout that was found: a quick no."""
    flat = plain.reshape(-1)
    places = torch.arange(0, len(flat), max(1, len(flat) // SAMPLED) | 1, device=flat.device)
    values = flat[places].abs()
    places = places[values > 1e-3 * values.max()]
    mine, theirs = (places // each.inner % examples for each in (layout, found))
    return bool((mine != theirs).any())


def _scaled(plain: Tensor, other: Tensor, factors: Tensor, scale: Tensor) -> bool:
    difference = (other - plain * factors[:, None]).abs().amax((0, 2))
    return bool((difference <= NOISE * factors * scale).all())


def _inner_sizes(tensor: Tensor, examples: int, together: int) -> Iterator[int]:
    """Yield how many elements of one example may lie side by side, the most first: the examples lie along one axis."""
    inner = tensor.numel()
    for size in tensor.shape:
        inner //= size
        if size % examples:
            continue
        positions = size // examples
        for count in range(positions, 0, -1):
            if positions % count == 0 and (count * inner) % together == 0:
                yield count * inner
